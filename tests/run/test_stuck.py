"""Dead letters in the counts of a run: a stuck prompt or task is not expected to finish, until it ends."""

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from service.messaging import topics
from service.messaging.dead_letters import DeadLetter
from service.messaging.messages import FinishedTask, Message, SubmittedSeed
from service.messaging.topics import Topic
from service.run.credits import affordable_prompts
from service.run.progress import Progress
from service.selfinstruct.tasks import InstanceReason
from tests.support import examples
from tests.support.states import through_a_file

ASKED = (topics.PROMPTS, topics.CANDIDATES)
COMPLETED = (topics.INSTRUCTIONS, topics.CLASSIFIED, topics.INSTANCES)
FOREIGN = (
    "",
    "poison",
    "p",
    "p01",
    "p-1",
    "p0.0",
    "p99",
    "P0",
    "s0",
    "p99.3",
    "\N{ARABIC-INDIC DIGIT ONE}",
    "p" + "9" * 99,
)


def letter(topic: Topic[Message], name: str, *, put_back: bool = False) -> DeadLetter:
    return DeadLetter(
        id=name, topic=topic.name, place="", origin=None, stage=None, reason="", attempts=1, put_back=put_back
    )


def fold(*messages: Message) -> Progress:
    progress = Progress()
    for message in messages:
        progress.apply(message)
    return progress


def finished(name: str, task_seq: int = 0) -> FinishedTask:
    return structs.replace(examples.finished(task_seq), id=name, pool_seq=examples.pool_seq_of(name))


def counts(progress: Progress) -> tuple[object, ...]:
    return (
        (progress.prompts, progress.decided, progress.outstanding, progress.stuck_prompts),
        (progress.accepted, progress.finished, progress.dropped, progress.pending, progress.stuck_tasks),
        (progress.dead_letters, progress.spent, progress.free_seqs(3)),
    )


@dataclass
class History:
    """The events of a run, by topic, and the expected counts."""

    logs: dict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    stuck_prompts: int = 0
    stuck_tasks: int = 0
    outstanding: int = 0
    pending: int = 0
    finished: int = 0
    letters: int = 0

    def write(self, topic: str, message: Message) -> None:
        self.logs[topic].append(message)
        self.letters += isinstance(message, DeadLetter) and not message.put_back


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw a run with prompts and tasks, each of which may be dead-lettered, replayed, and ended."""
    history, task_seqs = History(), count()
    for seq in range(draw(st.integers(1, 4))):
        history.write("prompts", examples.prompt(seq))
        if draw(st.booleans()):
            history.write("prompts", examples.prompt(seq))
        stuck = _bury(draw, history, ASKED, f"p{seq}")
        if not draw(st.booleans()):
            history.stuck_prompts += stuck
            history.outstanding += not stuck
            continue
        history.write("candidates", examples.answer(seq))
        accepted = draw(st.integers(0, 3))
        history.write("decisions", examples.decision(seq, accepted))
        for place in range(accepted):
            _complete(draw, history, f"p{seq}.{place}", task_seqs)
    for name in draw(st.lists(st.sampled_from(FOREIGN[:4]), max_size=3)):
        topic = draw(st.sampled_from(ASKED + COMPLETED))
        history.write(f"{topic.name}.dlq", letter(topic, name))
    return history


def _bury(draw: st.DrawFn, history: History, where: tuple[Topic[Message], ...], name: str) -> bool:
    """Write dead letters of one id, or none. Returns whether the id is stuck."""
    fates = draw(st.lists(st.tuples(st.sampled_from(where), st.booleans()), max_size=2))
    for topic, put_back in fates:
        history.write(f"{topic.name}.dlq", letter(topic, name, put_back=put_back))
    return any(not put_back for _, put_back in fates)


def _complete(draw: st.DrawFn, history: History, name: str, task_seqs: "count[int]") -> None:
    stuck = _bury(draw, history, COMPLETED, name)
    match draw(st.sampled_from(["open", "usable", "dropped", "finished", "dropped, then finished"])):
        case "open" | "usable" as how:
            if how == "usable":
                history.write("instances", examples.task_instances(name))
            history.stuck_tasks += stuck
            history.pending += not stuck
        case "dropped":
            history.write("instances", examples.task_instances(name, InstanceReason.NONE_PARSED))
        case how:
            if how != "finished":
                history.write("instances", examples.task_instances(name, InstanceReason.NONE_VALID))
            history.write("instances", examples.task_instances(name))
            history.write("tasks", finished(name, next(task_seqs)))
            history.finished += 1


@settings(max_examples=200, deadline=None)
@given(histories(), st.data())
def test_the_counts_are_the_same_for_any_interleaving_of_topics(history: History, data: st.DataObject) -> None:
    in_turn = [message for log in history.logs.values() for message in log]
    turns = data.draw(st.permutations([name for name, log in history.logs.items() for _ in log]))
    left = {name: iter(log) for name, log in history.logs.items()}
    progress = fold(*(next(left[name]) for name in turns))
    assert counts(progress) == counts(fold(*in_turn))
    assert (progress.stuck_prompts, progress.outstanding) == (history.stuck_prompts, history.outstanding)
    assert (progress.stuck_tasks, progress.pending) == (history.stuck_tasks, history.pending)
    assert (progress.finished, progress.dead_letters.total()) == (history.finished, history.letters)


@settings(max_examples=200, deadline=None)
@given(histories(), st.data())
def test_restored_counts_and_all_dead_letters_are_the_counts(history: History, data: st.DataObject) -> None:
    """A checkpoint holds no dead letters: all of them are read again."""
    logs = {name: log for name, log in history.logs.items() if not name.endswith(".dlq")}
    letters = [message for name, log in history.logs.items() if name.endswith(".dlq") for message in log]
    turns = data.draw(st.permutations([name for name, log in logs.items() for _ in log]))
    left = {name: iter(log) for name, log in logs.items()}
    messages = [examples.goal(9), *(next(left[name]) for name in turns)]
    split, early = data.draw(st.integers(0, len(messages))), data.draw(st.integers(0, len(letters)))
    found = Progress.restored(through_a_file(fold(*letters[:early], *messages[:split]).snapshot()))
    rest = [*letters, *messages[split:]] if data.draw(st.booleans()) else [*messages[split:], *letters]
    for message in rest:
        found.apply(message)
    expected = fold(*messages, *letters)
    assert counts(found) == counts(expected)
    assert found == expected


@pytest.mark.parametrize("topic", ASKED)
def test_a_prompt_is_stuck_until_it_is_replayed_or_decided(topic: Topic[Message]) -> None:
    asked = examples.prompt(0), examples.prompt(1)
    stuck = fold(*asked, letter(topic, "p0"))
    assert (stuck.prompts, stuck.outstanding, stuck.stuck_prompts, stuck.dead_letters) == (2, 1, 1, {topic.name: 1})
    again = fold(*asked, letter(topic, "p0", put_back=True))
    assert (again.outstanding, again.stuck_prompts, again.dead_letters) == (2, 0, {})
    decided = fold(*asked, letter(topic, "p0"), examples.decision(0, accepted=1))
    assert (decided.decided, decided.outstanding, decided.stuck_prompts) == (1, 1, 0)


@pytest.mark.parametrize("topic", COMPLETED)
def test_a_task_is_stuck_until_it_is_replayed_or_ends(topic: Topic[Message]) -> None:
    accepted = examples.decision(0, accepted=2)
    stuck = fold(accepted, letter(topic, "p0.1"))
    assert (stuck.pending, stuck.stuck_tasks) == (1, 1)
    assert fold(accepted, letter(topic, "p0.1", put_back=True)).pending == 2
    for end in (finished("p0.1"), examples.task_instances("p0.1", InstanceReason.NONE_VALID)):
        ended = fold(accepted, letter(topic, "p0.1"), end)
        assert (ended.pending, ended.stuck_tasks) == (1, 0)


def test_a_usable_task_that_finish_could_not_read_is_stuck() -> None:
    stuck = fold(examples.decision(0, accepted=1), examples.task_instances("p0.0"), letter(topics.INSTANCES, "p0.0"))
    assert (stuck.pending, stuck.stuck_tasks) == (0, 1)


def test_a_prompt_with_several_dead_letters_is_stuck_once() -> None:
    buried = [letter(topic, "p0") for topic in (*ASKED, topics.PROMPTS)]
    progress = fold(examples.prompt(0), *buried)
    assert (progress.outstanding, progress.stuck_prompts, progress.dead_letters.total()) == (0, 1, 3)


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("topic", ASKED + COMPLETED)
def test_a_dead_letter_of_an_unknown_id_changes_no_count(topic: Topic[Message], name: str) -> None:
    before = fold(examples.goal(100), examples.prompt(0), examples.prompt(1), examples.decision(1, accepted=3))
    after = fold(examples.goal(100), examples.prompt(0), examples.prompt(1), examples.decision(1, accepted=3))
    after.apply(letter(topic, name))
    assert (after.prompts, after.outstanding, after.pending) == (before.prompts, before.outstanding, before.pending)
    assert affordable_prompts(after, 8) == affordable_prompts(before, 8)
    assert after.free_seqs(3) == before.free_seqs(3)


def test_credits_come_back_from_the_dead_letters() -> None:
    issued = [examples.goal(1_000), *map(examples.prompt, range(8))]
    assert affordable_prompts(fold(*issued), 8) == 0
    assert affordable_prompts(fold(*issued, letter(topics.PROMPTS, "p3"), letter(topics.CANDIDATES, "p5")), 8) == 2


def test_dead_lettered_tasks_are_not_expected_to_be_finished() -> None:
    near = [examples.goal(2), examples.prompt(0), examples.decision(0, accepted=2)]
    assert affordable_prompts(fold(*near), 8) == 0
    dead = [letter(topics.CLASSIFIED, "p0.0"), letter(topics.INSTANCES, "p0.1")]
    assert affordable_prompts(fold(*near, *dead), 8) > 0


def test_a_prompt_that_comes_twice_is_one_prompt() -> None:
    progress = fold(examples.prompt(0), examples.prompt(1), examples.prompt(0))
    assert (progress.prompts, progress.free_seqs(2)) == (2, [2, 3])


def test_the_number_of_an_unreadable_prompt_is_not_reused() -> None:
    progress = fold(examples.prompt(0), letter(topics.PROMPTS, "p1"), letter(topics.PROMPTS, "p3", put_back=True))
    assert (progress.prompts, progress.outstanding) == (1, 1)
    assert progress.free_seqs(3) == [2, 4, 5]
    progress.apply(examples.prompt(1))
    assert (progress.prompts, progress.outstanding, progress.stuck_prompts) == (2, 1, 1)


def test_a_second_completion_of_an_input_was_paid_twice() -> None:
    classified = examples.classified("p0.0", is_classification=True)
    failed = examples.classified("p0.0", is_classification=None, failure="timed out")
    free = structs.replace(examples.task_instances("p0.0"), call=None)
    progress = fold(
        *map(examples.answer, (0, 1, 0, 0)), examples.pooled_seed(0), failed, classified, failed, free, free
    )
    assert {stage: spent.repeated for stage, spent in progress.spent.items()} == {"generate": 2, "classify": 0}
    assert progress.paid_twice == 2
    progress.apply(classified)
    assert progress.paid_twice == 3


def seed_letter(number: int, *, put_back: bool = False) -> DeadLetter:
    kind = SubmittedSeed.ce_type.replace("v1", "v2")
    return structs.replace(letter(topics.CANDIDATES, f"p{number}", put_back=put_back), kind=kind)


def test_a_seed_among_the_dead_letters_is_not_awaited() -> None:
    """Its id may look like that of a prompt."""
    progress = fold(examples.definition(2), examples.pooled_seed(0), examples.prompt(1))
    assert progress.awaits_seeds
    assert not fold(examples.definition(2), examples.pooled_seed(0), seed_letter(1)).awaits_seeds
    assert fold(examples.definition(2), examples.pooled_seed(0), seed_letter(1, put_back=True)).awaits_seeds
    progress.apply(seed_letter(1))
    assert (progress.stuck_seeds, progress.stuck_prompts, progress.awaits_seeds) == (1, 0, False)
    progress.apply(structs.replace(examples.pooled_seed(1), id="p1"))
    assert (progress.seeds, progress.stuck_seeds) == (2, 0)
