"""A run whose calls bring no finished task: it waits for pending tasks, gives up in time, and shows one answer."""

import anyio
import pytest
from msgspec import structs

from producers.prompts import PromptProducer
from producers.run_endings import Endings
from producers.samples import sample_of_instances, sample_of_prompts
from service.messaging import topics
from service.messaging.broker import Broker, NewRecord
from service.messaging.messages import Answer, CandidateVerdict, Decision, Ending, Message, RunEnded, TaskInstances
from service.run.credits import affordable_prompts
from service.run.progress import Progress
from service.selfinstruct.recipe import ALPACA, SELF_INSTRUCT, Form, Recipe, RecipeName, recipe_for
from service.selfinstruct.tasks import InstanceReason, Reason
from tests.conftest import OpenBroker
from tests.support import examples
from tests.support.logs import DEADLINE_S, RUN, follow, killed_after, read, send, stays_at, write
from tests.support.seeded import FAR, run_with

pytestmark = pytest.mark.anyio

PATIENCE = 4
JSON = recipe_for(RecipeName.SELF_INSTRUCT, Form.JSON, chat_model=True)
JSON_ALPACA = recipe_for(RecipeName.ALPACA, Form.JSON, chat_model=True)
LABELS = "expected examples with the labels Input and Output, or Class label"


def answered(seq: int, completion: str) -> Answer:
    call = structs.replace(examples.CALL, completion=completion)
    return structs.replace(examples.answer(seq), call=call)


def refused(name: str, completion: str = "Well, rivers.") -> TaskInstances:
    """Return the result of a task without any instance."""
    call = structs.replace(examples.CALL, completion=completion)
    return structs.replace(examples.task_instances(name, InstanceReason.NONE_PARSED), call=call)


ALL_REFUSED = [refused(f"p0.{place}", f"Nothing {place}.") for place in range(PATIENCE)]


def refusing(seq: int, reason: Reason) -> Decision:
    """Return a decision that refuses one candidate."""
    return structs.replace(examples.decision(seq), verdicts=(CandidateVerdict(id=f"p{seq}.0", reason=reason),))


def uncalled(name: str, failure: str) -> TaskInstances:
    """Return the result of a task whose call failed."""
    update = {"call": None, "failure": failure}
    return structs.replace(examples.task_instances(name, InstanceReason.CALL_FAILED), **update)


def producing(broker: Broker, window: int = 1) -> PromptProducer:
    return PromptProducer(broker, RUN, window, PATIENCE)


async def ended_after(broker: Broker, *messages: Message) -> RunEnded:
    """Send these messages after the first prompt. Returns the end of the run."""

    async def happen() -> None:
        await follow(broker, topics.PROMPTS, 1)
        await send(broker, *messages)

    with anyio.fail_after(DEADLINE_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(happen)
            end = await producing(broker).run(anyio.Event())
    assert end is not None
    assert (end.ending, await ends(broker)) == (Ending.STALLED, [end])
    return end


async def ends(broker: Broker) -> list[RunEnded]:
    return [message for message in await read(broker, topics.CONTROL) if isinstance(message, RunEnded)]


def affordable(target: int, finished: int, dropped: int, pending: int) -> int:
    """Return the number of prompts that may be issued with these numbers of tasks."""
    progress = Progress(prompts=400, decided=400, accepted=finished + dropped + pending, finished=finished)
    progress.dropped["none_parsed"] = dropped
    progress.goal = examples.goal(target)
    return affordable_prompts(progress, 16)


@pytest.mark.parametrize("counts", [(100, 0, 50, 1_000), (100, 0, 10_000, 1_000), (100, 95, 9_000, 100)])
def test_enough_pending_tasks_are_waited_for(counts: tuple[int, int, int, int]) -> None:
    assert affordable(*counts) == 0


@pytest.mark.parametrize("counts", [(100, 0, 11_000, 0), (100, 95, 9_100, 0), (100, 0, 900, 100), (999, 9, 9_000, 50)])
def test_too_few_pending_tasks_are_not_waited_for(counts: tuple[int, int, int, int]) -> None:
    assert affordable(*counts) > 0


async def test_a_run_with_enough_pending_tasks_buys_no_prompt(open_broker: OpenBroker) -> None:
    bought = [message for seq in range(10) for message in (examples.prompt(seq), examples.decision(seq, accepted=7))]
    dropped = [refused(f"p{seq}.{place}") for seq in range(7) for place in range(7)]
    async with (
        run_with(open_broker, *bought, *dropped[:40], goal=examples.goal(2)) as broker,
        killed_after(producing(broker, window=8)),
    ):
        assert await stays_at(broker, topics.PROMPTS, 10)
        await send(broker, *dropped[40:43])
        assert await stays_at(broker, topics.PROMPTS, 10)


async def test_tasks_that_cannot_be_finished_end_the_run(open_broker: OpenBroker) -> None:
    async with run_with(open_broker) as broker:
        end = await ended_after(broker, examples.decision(0, accepted=PATIENCE), *ALL_REFUSED)
    assert (end.target, end.finished) == (1_000, 0)
    assert end.detail.startswith("4 accepted tasks in a row could not be finished; refused so far: none_parsed 4, ")
    assert end.detail.endswith(f'; {LABELS}, and to the latest task came "Nothing 3."')


async def test_failed_calls_count_and_the_latest_is_shown(open_broker: OpenBroker) -> None:
    failures = [uncalled(f"p0.{place}", f"Expected an answer, got {place}.") for place in range(PATIENCE)]
    async with run_with(open_broker) as broker:
        end = await ended_after(broker, examples.decision(0, accepted=PATIENCE), *failures)
    assert "4 accepted tasks in a row could not be finished" in end.detail
    assert end.detail.endswith("; the latest call failed: Expected an answer, got 3.")


async def test_a_finished_task_resets_the_count(open_broker: OpenBroker) -> None:
    again = [refused(f"p1.{place}") for place in range(PATIENCE)]
    async with run_with(open_broker) as broker:
        async with killed_after(producing(broker)):
            await follow(broker, topics.PROMPTS, 1)
            done = [examples.task_instances("p0.3"), structs.replace(examples.finished(0), id="p0.3")]
            await send(broker, examples.decision(0, accepted=PATIENCE), *ALL_REFUSED[:3], *done)
            await follow(broker, topics.PROMPTS, 2)
            await send(broker, examples.decision(1, accepted=PATIENCE), *again[:3])
            await follow(broker, topics.PROMPTS, 3)
            assert await stays_at(broker, topics.CONTROL, 2)
            await send(broker, again[3])
            await follow(broker, topics.CONTROL, 3)
        (end,) = await ends(broker)
    assert (end.ending, end.finished) == (Ending.STALLED, 1)
    assert end.detail.startswith("4 accepted tasks in a row could not be finished")


async def test_the_end_after_fruitless_prompts_shows_an_answer(open_broker: OpenBroker) -> None:
    async with run_with(open_broker) as broker:
        answers = [answered(seq, f"Rivers, {seq}.") for seq in range(PATIENCE)]
        end = await ended_after(broker, *answers, *map(examples.decision, range(PATIENCE)))
    assert end.detail.startswith("4 prompts in a row gave no accepted task")
    assert end.detail.endswith(
        '; expected a numbered list, one task a line, and to the latest prompt came "Rivers, 3."'
    )


REFUSED = {
    Reason.LEADING_NON_ASCII: "leading_non_ascii 4; the filters are made for English, and a run with `--language any` ",
    Reason.TOO_SIMILAR: 'too_similar 4; the latest answer has the task "Назови реку."',
}


@pytest.mark.parametrize("reason", REFUSED)
async def test_the_end_after_refused_tasks_tells_the_reasons(reason: Reason, open_broker: OpenBroker) -> None:
    async with run_with(open_broker) as broker:
        answers = [examples.answer(seq, "Назови реку.") for seq in range(PATIENCE)]
        decisions = [refusing(seq, reason) for seq in range(PATIENCE)]
        end = await ended_after(broker, *answers, *decisions)
    told = "; the answers can be read, and the filters refuse their tasks, most often as "
    assert f"{told}{REFUSED[reason]}" in end.detail
    assert end.detail.endswith('; the latest answer has the task "Назови реку."')
    assert "expected a numbered list" not in end.detail


async def test_the_end_after_answers_mostly_unread_shows_one(open_broker: OpenBroker) -> None:
    reasons = [*[Reason.MALFORMED] * (PATIENCE - 1), Reason.TOO_SHORT]
    async with run_with(open_broker) as broker:
        answers = [examples.answer(seq, "Name a river.") for seq in range(PATIENCE)]
        end = await ended_after(broker, *answers, *(refusing(seq, each) for seq, each in enumerate(reasons)))
    assert "; expected a numbered list, one task a line, and to the latest prompt came " in end.detail


async def test_a_restarted_run_counts_failures_anew(open_broker: OpenBroker) -> None:
    before = [examples.prompt(0), examples.decision(0, accepted=PATIENCE), *ALL_REFUSED]
    end = RunEnded(run=RUN, ending=Ending.STALLED, target=1_000, finished=0, detail="")
    async with run_with(open_broker, *before, end) as broker, killed_after(producing(broker)):
        await follow(broker, topics.PROMPTS, 2)
        await send(broker, examples.decision(1, accepted=3), *(refused(f"p1.{place}") for place in range(3)))
        await follow(broker, topics.PROMPTS, 3)
        assert await stays_at(broker, topics.CONTROL, 3)
        await send(broker, examples.decision(2, accepted=1), refused("p2.0"))
        await follow(broker, topics.CONTROL, 4)


SAMPLES = [
    (SELF_INSTRUCT, "a numbered list, one task a line", LABELS),
    (ALPACA, "blocks of Instruction, Input and Output", None),
    (JSON, 'JSON such as {"instructions": […]}', 'expected JSON such as {"instances": [{"input": …, "output": …}]}'),
    (JSON_ALPACA, 'JSON such as {"tasks": [{"instruction": …, "input": …, "output": …}]}', None),
]
SHOWN = [
    ("", "an empty answer"),
    (" \n", "an empty answer"),
    ("I'm sorry,\r\n\tbut no.", '"I\'m sorry, but no."'),
    ("red \x1b[31malert", '"red \N{REPLACEMENT CHARACTER}[31malert"'),
    ("word " * 5_000, f'"{("word " * 40)}…"'),
]


@pytest.mark.parametrize(("recipe", "tasks", "instances"), SAMPLES, ids=lambda given: getattr(given, "title", ""))
async def test_the_recipe_describes_the_expected_answer(
    recipe: Recipe, tasks: str, instances: str | None, open_broker: OpenBroker
) -> None:
    async with run_with(open_broker, answered(0, "x"), refused("p0.0", "y")) as broker:
        said = await sample_of_prompts(broker, RUN, recipe)
        assert said == f'expected {tasks}, and to the latest prompt came "x"'
        if instances is not None:
            said = await sample_of_instances(broker, RUN, recipe)
            assert said == f'{instances}, and to the latest task came "y"'


@pytest.mark.parametrize(("came", "shown"), SHOWN, ids=["nothing", "blanks", "lines", "controls", "long"])
async def test_an_answer_is_shown_bounded_and_on_one_line(came: str, shown: str, open_broker: OpenBroker) -> None:
    async with run_with(open_broker, answered(0, came), refused("p0.0", came)) as broker:
        for sample, asked in ((sample_of_prompts, "prompt"), (sample_of_instances, "task")):
            assert (await sample(broker, RUN, SELF_INSTRUCT)).endswith(f"and to the latest {asked} came {shown}")


async def test_the_latest_failure_or_answer_is_shown(open_broker: OpenBroker) -> None:
    async with run_with(open_broker) as broker:
        assert await sample_of_prompts(broker, RUN, SELF_INSTRUCT) == ""
        assert await sample_of_instances(broker, RUN, SELF_INSTRUCT) == ""
        await send(broker, answered(0, "one"), examples.failed(1, "timed out"), examples.seed(20))
        await send(broker, refused("p0.0", "two"), examples.task_instances("p0.1"))
        await write(broker, *(NewRecord(topic.of(RUN), b"\xff") for topic in (topics.CANDIDATES, topics.INSTANCES)))
        assert await sample_of_prompts(broker, RUN, SELF_INSTRUCT) == "the latest prompt failed: timed out"
        assert (await sample_of_instances(broker, RUN, SELF_INSTRUCT)).endswith('to the latest task came "two"')
        await send(broker, answered(2, "three"))
        assert (await sample_of_prompts(broker, RUN, SELF_INSTRUCT)).endswith('to the latest prompt came "three"')


@pytest.mark.parametrize(
    ("prompts", "tasks", "accepted", "finished", "ends"),
    [
        *((20, 0, 0, 0, True), (19, 0, 0, 0, False), (20, 0, 1, 0, False), (200, 0, 1, 0, True)),
        *((0, 20, 20, 0, True), (0, 19, 20, 0, False), (0, 20, 21, 1, False), (0, 200, 201, 1, True)),
    ],
)
def test_a_run_without_any_success_stalls_earlier(
    prompts: int, tasks: int, accepted: int, finished: int, *, ends: bool
) -> None:
    progress = Progress(prompts=prompts, decided=prompts, accepted=accepted, finished=finished)
    progress.fruitless, progress.fruitless_tasks, progress.goal = prompts, tasks, FAR
    end = Endings("run", 200).ended(progress)
    assert (end is not None and end.ending is Ending.STALLED) is ends
