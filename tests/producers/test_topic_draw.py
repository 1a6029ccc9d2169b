"""The draw of topics: shares are met whatever the yields, and topics that fail are set aside."""

import random
from collections import Counter, deque
from collections.abc import Callable, Mapping

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from producers.topic_draw import TopicDraw
from service.cli.facts import topics
from service.messaging.dead_letters import DeadLetter
from service.messaging.messages import (
    CandidateVerdict,
    Decision,
    FinishedTask,
    Prompt,
    RunDefined,
    TaskInstances,
)
from service.run.credits import affordable_prompts
from service.run.progress import Progress
from service.run.topic_shares import missed_shares, topic_shares, unasked_shares
from service.selfinstruct.subject import Subject, SubjectTopic
from service.selfinstruct.tasks import InstanceReason, Reason
from service.selfinstruct.templates import Templates
from tests.support import examples

SHARES = {"a": 50.0, "b": 30.0, "c": 15.0, "d": 5.0}
Yields = Mapping[str, Callable[[random.Random], tuple[int, float]]]


def defined(shares: Mapping[str, float] = SHARES) -> RunDefined:
    topics = tuple(SubjectTopic(name, share) for name, share in shares.items())
    definition = examples.definition(0)
    templates = Templates(instructions="On {{topic}}.\n{{demonstrations}}", subject=Subject("x", topics=topics))
    return structs.replace(definition, templates=templates)


def prompt(seq: int, topic: str | None) -> Prompt:
    return structs.replace(examples.prompt(seq), topic=topic)


def decision(seq: int, topic: str | None, accepted: int, candidates: int = 6) -> Decision:
    reasons = [None] * accepted + [Reason.TOO_SHORT] * (candidates - accepted)
    verdicts = tuple(CandidateVerdict(id=f"p{seq}.{place}", reason=each) for place, each in enumerate(reasons))
    return structs.replace(examples.decision(seq), verdicts=verdicts, topic=topic)


def outcome(name: str, pool_seq: int, topic: str | None, *, usable: bool = True) -> TaskInstances:
    made = examples.task_instances(name, None if usable else InstanceReason.NONE_PARSED)
    return structs.replace(made, pool_seq=pool_seq, provenance=structs.replace(made.provenance, topic=topic))


def finished(number: int, pool_seq: int, topic: str | None) -> FinishedTask:
    return structs.replace(examples.finished(number), id=f"f{number}", pool_seq=pool_seq, topic=topic)


def dead(seq: int) -> DeadLetter:
    return DeadLetter(
        id=f"p{seq}",
        topic="prompts",
        place=f"y/{seq}",
        origin=f"x/{seq}",
        stage="generate",
        reason="damaged",
        attempts=1,
    )


def test_the_next_topic_depends_on_tasks_on_their_way() -> None:
    progress, draw = Progress(), TopicDraw(10)
    for message in (defined(), prompt(0, "a"), decision(0, "a", 2)):
        progress.apply(message)
    assert draw.waits(progress)
    progress.apply(outcome("p0.0", 0, "a", usable=False))
    progress.apply(finished(0, 1, "a"))
    assert not draw.waits(progress)


def test_a_run_without_topics_waits_for_no_task() -> None:
    progress = Progress()
    for message in (examples.definition(0), prompt(0, None), decision(0, None, 2)):
        progress.apply(message)
    assert progress.pending == 2
    assert not TopicDraw(10).waits(progress)


class Simulation:
    """A run without a log: each prompt gives tasks after a while, by the yield of its topic."""

    def __init__(
        self,
        yields: Yields,
        target: int,
        seed: int = 0,
        window: int = 32,
        patience: int = 200,
        shares: Mapping[str, float] = SHARES,
    ) -> None:
        self.progress = Progress()
        self.draw = TopicDraw(patience)
        self.drawn: list[str | None] = []
        self._yields = yields
        self._rng = random.Random(seed)
        self._window = window
        self._open: deque[tuple[int, str | None]] = deque()
        self._pending: deque[tuple[int, str | None]] = deque()
        self._pooled = 0
        self.progress.apply(defined(shares))
        self.progress.apply(examples.goal(target))

    def run(self, prompts: int = 100_000) -> None:
        """Go on until the target is reached, or this number of prompts is issued."""
        while not self.progress.reached and len(self.drawn) < prompts:
            self.draw.set_aside_fruitless(self.progress)
            for topic in self.draw.draw(self.progress, affordable_prompts(self.progress, self._window)):
                self._issue(topic)
            self._answer()
            while self._pending and self._rng.random() < 0.8:
                self._finish()

    def restart(self) -> None:
        """Go on as a new process does: from the log, or from a checkpoint, with what is on the way."""
        snapshot = self.progress.snapshot()
        self.progress = Progress.restored(snapshot)
        self.draw = TopicDraw(self.draw.patience)
        self.draw.try_again(self.progress)

    def shares(self) -> dict[str, float]:
        return {each.topic: each.reached or 0.0 for each in topic_shares(self.progress)}

    def _issue(self, topic: str | None) -> None:
        self.progress.apply(prompt(len(self.drawn), topic))
        self._open.append((len(self.drawn), topic))
        self.drawn.append(topic)

    def _answer(self) -> None:
        if self._open:
            place = self._rng.randrange(min(len(self._open), 4))
            seq, topic = self._open[place]
            del self._open[place]
            accepted, _ = self._yields[topic or ""](self._rng)
            self.progress.apply(decision(seq, topic, accepted))
            self._pending.extend([(seq, topic)] * accepted)

    def _finish(self) -> None:
        _, topic = self._pending.popleft()
        number, self._pooled = self._pooled, self._pooled + 1
        usable = self._rng.random() < self._yields[topic or ""](random.Random(number))[1]
        self.progress.apply(outcome(f"t{number}", number, topic, usable=usable))
        if usable and not self.progress.reached:
            self.progress.apply(finished(self.progress.finished, number, topic))


def about(mean: int, survival: float = 0.95) -> Callable[[random.Random], tuple[int, float]]:
    return lambda rng: (rng.randint(max(0, mean - 2), mean + 1), survival)


def nothing(_: random.Random) -> tuple[int, float]:
    return 0, 1.0


def rarely(rng: random.Random) -> tuple[int, float]:
    return int(rng.random() < 0.3), 0.9


def never_finished(_: random.Random) -> tuple[int, float]:
    return 4, 0.0


EVEN: Yields = dict.fromkeys(SHARES, about(4))
# Half as many accepted of `a`, hardly any of `d`, and half of the tasks of `c` are dropped.
UNEVEN: Yields = {"a": about(2), "b": about(5), "c": about(4, 0.5), "d": rarely}


@pytest.mark.parametrize("window", [1, 8, 64])
@pytest.mark.parametrize("yields", [EVEN, UNEVEN], ids=["even", "uneven"])
def test_shares_are_met_within_two_percent(yields: Yields, window: int) -> None:
    run = Simulation(yields, 2_000, window=window)
    run.run()
    assert run.progress.finished == 2_000
    wanted = {topic: share / 100 for topic, share in SHARES.items()}
    assert max(abs(found - wanted[topic]) for topic, found in run.shares().items()) < 0.02
    assert missed_shares(run.progress) == []


def test_shares_are_met_at_any_moment() -> None:
    """Prompts go to all topics from the first on, so that a run that is stopped early has its shares too."""
    run = Simulation(UNEVEN, 10_000)
    run.run(prompts=40)
    assert set(run.drawn[:20]) == set(SHARES)
    run.run(prompts=300)
    assert all(abs(run.shares()[topic] - share / 100) < 0.05 for topic, share in SHARES.items())


def test_shares_are_met_across_restarts() -> None:
    run = Simulation(UNEVEN, 2_000)
    for prompts in range(50, 650, 50):
        run.run(prompts)
        run.restart()
    run.run()
    assert missed_shares(run.progress) == []


def test_the_draw_follows_from_the_log_alone() -> None:
    one, two = Simulation(UNEVEN, 500), Simulation(UNEVEN, 500)
    one.run()
    two.run(100)
    two.restart()
    two.run()
    assert one.drawn == two.drawn


def test_a_topic_without_yield_is_set_aside_and_told() -> None:
    run = Simulation({**EVEN, "a": nothing}, 2_000)
    with capture_logs() as logs:
        run.run()
    assert run.progress.finished == 2_000
    assert [(each["event"], each["topic"]) for each in logs] == [("topic.set_aside", "a")]
    assert logs[0]["why"].endswith("prompts in a row gave no accepted task")
    assert run.drawn.count("a") < 60
    assert run.shares() == pytest.approx({"a": 0.0, "b": 0.6, "c": 0.3, "d": 0.1}, abs=0.02)
    assert missed_shares(run.progress)[0].topic == "a"


def test_a_topic_whose_tasks_are_all_dropped_is_set_aside() -> None:
    run = Simulation({**EVEN, "b": never_finished}, 1_000)
    with capture_logs() as logs:
        run.run()
    assert run.progress.finished == 1_000
    assert [each["topic"] for each in logs] == ["b"]
    assert logs[0]["why"].endswith("accepted tasks in a row could not be finished")


def test_a_topic_that_is_exhausted_is_set_aside_later() -> None:
    spent: Counter[str] = Counter()

    def exhausted(_: random.Random) -> tuple[int, float]:
        spent["d"] += 1
        return (4 if spent["d"] < 40 else 0), 1.0

    run = Simulation({**EVEN, "d": exhausted}, 2_000, patience=40)
    with capture_logs() as logs:
        run.run()
    assert run.progress.finished == 2_000
    assert [(each["topic"], each["why"]) for each in logs] == [("d", "20 prompts in a row gave no accepted task")]


def test_the_last_topic_is_left_to_the_patience_of_the_run() -> None:
    run = Simulation(dict.fromkeys(SHARES, nothing), 100, patience=10)
    with capture_logs() as logs:
        run.run(prompts=400)
    assert len(logs) == len(run.draw.aside) == 3
    (last,) = SHARES.keys() - run.draw.aside
    assert set(run.drawn[-20:]) == {last}
    assert run.progress.fruitless >= 10


def test_a_run_that_is_started_again_tries_all_topics() -> None:
    run = Simulation({**EVEN, "a": nothing}, 2_000)
    run.run(prompts=150)
    assert run.draw.aside == {"a"}
    run.restart()
    before = run.drawn.count("a")
    run.run(prompts=200)
    assert run.draw.aside == {"a"}
    assert 0 < run.drawn.count("a") - before < 50


def test_dead_lettered_prompts_do_not_count_for_their_topic() -> None:
    progress = Progress()
    progress.apply(defined({"a": 1, "b": 1}))
    progress.apply(examples.goal(100))
    for seq in range(10):
        progress.apply(prompt(seq, "a"))
    assert TopicDraw(100).draw(progress, 3) == ["b", "b", "b"]
    for seq in range(10):
        progress.apply(dead(seq))
    assert progress.outstanding_by_topic["a"] == 0
    assert TopicDraw(100).draw(progress, 2) == ["a", "b"]


def test_a_run_without_topics_draws_none() -> None:
    progress = Progress()
    progress.apply(examples.definition(0))
    assert TopicDraw(100).draw(progress, 3) == [None, None, None]
    assert TopicDraw(100).draw(progress, 0) == []
    assert topic_shares(progress) == []


def test_a_small_run_may_miss_shares_by_a_few_tasks() -> None:
    progress = Progress()
    progress.apply(defined())
    for number in range(20):
        progress.apply(finished(number, number, "a"))
    assert missed_shares(progress) == []
    for number in range(20, 40):
        progress.apply(finished(number, number, "a"))
    assert [each.topic for each in missed_shares(progress)] == ["a", "b"]
    for seq in range(10):
        progress.apply(decision(seq, "d", 0))
    assert [each.topic for each in missed_shares(progress)] == ["a", "b", "d"]


def test_a_share_smaller_than_a_prompt_is_told() -> None:
    shares = {"a": 98.0, "b": 1.0, "c": 1.0}

    def of(target: int) -> Simulation:
        run = Simulation(dict.fromkeys(shares, about(4)), target, shares=shares)
        run.run()
        return run

    small, large = of(99), of(1_000)
    assert set(small.drawn) == {"a"}
    assert (missed_shares(small.progress), unasked_shares(small.progress)) == ([], [])
    small = of(100)
    assert set(small.drawn) == {"a"}
    assert [each.topic for each in unasked_shares(small.progress)] == ["b", "c"]
    assert "b: 0 tasks, 0.0% (1.0% wanted); no prompt yet" in topics(small.progress).splitlines()
    assert set(large.drawn) == set(shares)
    assert unasked_shares(large.progress) == []
