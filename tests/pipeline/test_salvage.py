"""A new run from the whole records of a damaged one: whatever is lost, nothing whole is left out or paid for again."""

from collections.abc import Sequence

import pytest
from msgspec import structs

from service.messaging import topics
from service.messaging.broker import Broker
from service.messaging.messages import (
    Answer,
    ClassifiedInstruction,
    Decision,
    FinishedTask,
    GoalSet,
    Instruction,
    Message,
    Origin,
    PooledTask,
    Prompt,
    RunDefined,
    RunEnded,
    SubmittedSeed,
    TaskInstances,
)
from service.pipeline.salvage import salvage_into
from service.pipeline.salvaged import Salvaged
from service.run.definition import AskedRun
from service.run.progress import Progress
from service.selfinstruct.recipe import ALPACA, SELF_INSTRUCT, Recipe
from service.selfinstruct.tasks import Candidate, Instance
from service.settings import Settings
from tests.acceptance.invariants import (
    every_finished_task_is_in_the_pool_and_has_instances,
    pool_seq_is_dense_and_ordered,
    task_ids_are_unique,
    task_seq_is_dense,
    the_pool_is_what_the_decisions_accepted,
)
from tests.acceptance.ledger import Ledger, ledger_of
from tests.conftest import OpenBroker
from tests.support import examples
from tests.support.logs import RUN, create, send

pytestmark = pytest.mark.anyio

_INTO = "salvaged"
_SETTINGS = Settings(run=RUN)
_TEXTS = (
    "Name three rivers that flow through Europe.",
    "Explain why glaciers move downhill so slowly.",
    "Write a short apology to an impatient neighbour.",
    "Translate this old proverb into modern English.",
)
_NAMES = ("p0.0", "p0.1", "p1.0", "p1.1")


@pytest.fixture(scope="module")
def asked() -> AskedRun:
    """Return the run that is asked for without options, with its files read."""
    asked = AskedRun(_SETTINGS)
    assert asked.new.seeds == asked.seeds
    return asked


def whole_run(recipe: Recipe = SELF_INSTRUCT) -> list[Message]:
    """Return a run of one seed and two prompts, with four tasks, three of which are finished."""
    instance = Instance("", "an output") if recipe is ALPACA else None
    messages: list[Message] = [
        examples.definition(1, recipe),
        examples.goal(3),
        examples.seed(0),
        examples.pooled_seed(0),
    ]
    for seq in range(2):
        texts = _TEXTS[2 * seq : 2 * seq + 2]
        candidates = [Candidate(place, text, instance) for place, text in enumerate(texts)]
        answer = structs.replace(examples.answer(seq, *candidates), depth=1)
        verdicts = examples.decision(seq, accepted=2, pool_size=3 + 2 * seq)
        messages += [examples.prompt(seq), answer, verdicts]
    for place, (name, text) in enumerate(zip(_NAMES, _TEXTS, strict=True)):
        provenance = structs.replace(
            examples.PROVENANCE, prompt_id=name[:2], parents=("s0", "s1"), recipe=recipe.digest
        )
        facts = {"id": name, "pool_seq": place + 1, "instruction": text, "provenance": provenance}
        messages.append(structs.replace(examples.pooled(place + 1), **facts))
        if instance is None:
            messages.append(structs.replace(examples.instruction(name), **facts))
            messages.append(structs.replace(examples.classified(name, is_classification=False), **facts))
        messages.append(structs.replace(examples.task_instances(name), **facts))
        if place < 3:
            messages.append(structs.replace(examples.finished(place), **facts))
    return messages


async def salvaged(
    broker: Broker, messages: Sequence[Message], asked: AskedRun | None = None, *, partitions: int = 2
) -> tuple[Progress, Salvaged, Ledger]:
    await create(broker, partitions=partitions)
    await send(broker, *messages)
    await broker.create_topics(topics.specs(_INTO, partitions))
    progress, found = await salvage_into(broker, broker, _INTO, asked or AskedRun(_SETTINGS))
    return progress, found, await ledger_of(broker, _INTO)


def check(ledger: Ledger) -> None:
    """Check that the run can be continued, and that no paid answer would be asked for again."""
    for invariant in (
        every_finished_task_is_in_the_pool_and_has_instances,
        pool_seq_is_dense_and_ordered,
        task_ids_are_unique,
        task_seq_is_dense,
        the_pool_is_what_the_decisions_accepted,
    ):
        invariant(ledger)
    assert {prompt.id for prompt in ledger.all(Prompt)} <= {answer.prompt_id for answer in ledger.all(Answer)}
    assert {task.id for task in ledger.all(Instruction)} == {task.id for task in ledger.all(ClassifiedInstruction)}


@pytest.mark.parametrize(
    "kind",
    [
        None,
        GoalSet,
        SubmittedSeed,
        Prompt,
        Answer,
        Decision,
        PooledTask,
        Instruction,
        ClassifiedInstruction,
        TaskInstances,
        FinishedTask,
    ],
)
@pytest.mark.parametrize("recipe", [SELF_INSTRUCT, ALPACA])
async def test_no_task_is_lost_with_one_of_its_records(
    open_broker: OpenBroker, kind: type[Message] | None, recipe: Recipe
) -> None:
    before = whole_run(recipe)
    kept = [message for message in before if not isinstance(message, kind or ()) or _is_seed(message)]
    async with open_broker() as broker:
        progress, _, ledger = await salvaged(broker, kept)
    check(ledger)
    pooled = {task.id: task.instruction for task in ledger.all(PooledTask)}
    assert pooled == {"s0": examples.seed_task(0).instruction} | dict(zip(_NAMES, _TEXTS, strict=True))
    assert [task.id for task in ledger.all(PooledTask)] == ["s0", *_NAMES]
    assert progress.finished == 3
    assert {task.id for task in ledger.tasks} <= set(_NAMES)
    if kind is not FinishedTask:
        assert {task.id for task in ledger.tasks} == set(_NAMES[:3])
    if kind is not TaskInstances:
        assert {task.id for task in ledger.all(TaskInstances)} == set(_NAMES)
    assert ledger.definition.seed_count == 1
    assert {stage for stage, offsets in ledger.committed.items() if offsets} >= {"generate", "classify", "instances"}


def _is_seed(message: Message) -> bool:
    return isinstance(message, PooledTask) and message.origin is Origin.HUMAN


async def test_a_task_whose_answer_alone_is_whole_is_judged_again(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        kept = [message for message in whole_run() if getattr(message, "id", "") != "p1.1"]
        _, _, ledger = await salvaged(broker, kept)
    assert [task.id for task in ledger.all(PooledTask)] == ["s0", *_NAMES]
    assert ledger.pending == {"p1.1"}


async def test_a_task_of_which_nothing_is_left_is_left_out(open_broker: OpenBroker) -> None:
    gone = {"p0.1", "p0"}
    async with open_broker() as broker:
        kept = [message for message in whole_run() if message.key not in gone or isinstance(message, Decision)]
        progress, _, ledger = await salvaged(broker, kept)
    names = ["p0.0", "p1.0", "p1.1"]
    assert [task.id for task in ledger.all(PooledTask)] == ["s0", *names]
    assert ledger.accepted == names
    assert [decision.pool_size for decision in ledger.all(Decision)] == [2, 4]
    assert {prompt.id for prompt in ledger.all(Prompt)} == {"p1"}
    assert (progress.finished, progress.pending, progress.outstanding) == (3, 0, 0)


async def test_a_run_without_its_definition_keeps_its_tasks(open_broker: OpenBroker, asked: AskedRun) -> None:
    async with open_broker() as broker:
        kept = [message for message in whole_run() if not isinstance(message, RunDefined)]
        progress, found, ledger = await salvaged(broker, kept, asked)
    assert progress.defined is None
    assert [task.id for task in sorted(ledger.tasks, key=lambda task: task.task_seq)] == list(_NAMES[:3])
    assert found.tasks_before == 3


async def test_a_lost_definition_is_replaced_by_one_that_fits(open_broker: OpenBroker, asked: AskedRun) -> None:
    definition = asked.new.definition
    digests = {"recipe": definition.recipe.digest, "templates": definition.templates.digest}
    messages = [
        structs.replace(message, provenance=structs.replace(message.provenance, **digests))
        if isinstance(message, PooledTask) and message.provenance is not None
        else message
        for message in whole_run()
        if not isinstance(message, RunDefined)
    ]
    async with open_broker() as broker:
        progress, _, ledger = await salvaged(broker, messages, asked)
    assert progress.defined is not None
    assert (progress.defined.recipe, progress.defined.seeds) == (definition.recipe, definition.seeds)
    assert progress.seeds == progress.defined.seed_count == 1 + len(asked.seeds)
    assert progress.finished == 3
    assert [task.id for task in ledger.all(PooledTask)][:5] == ["s0", *_NAMES]


async def test_prompts_without_answers_stay_to_be_asked(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        progress, _, ledger = await salvaged(broker, [*whole_run(), examples.prompt(2)])
    assert [prompt.id for prompt in ledger.all(Prompt) if prompt.seq == 2] == ["p2"]
    assert progress.outstanding == 1


async def test_answers_without_decisions_are_judged(open_broker: OpenBroker) -> None:
    answer = examples.answer(2, "Compose a limerick about a forgetful librarian.", "Short.")
    async with open_broker() as broker:
        progress, _, ledger = await salvaged(broker, [*whole_run(), examples.prompt(2), answer])
    assert progress.outstanding == 0
    assert ledger.pending == {"p1.1", "p2.0"}


def _without(messages: Sequence[Message], name: str, *kinds: type[Message]) -> list[Message]:
    return [each for each in messages if not (isinstance(each, kinds) and each.key == name)]


async def test_a_lost_finished_task_is_told_from_its_substitute(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        kept = _without(whole_run(), "p0.1", TaskInstances, FinishedTask)
        progress, found, ledger = await salvaged(broker, kept, partitions=1)
    assert {task.id for task in ledger.tasks} == {"p0.0", "p1.0", "p1.1"}
    assert (progress.finished, found.tasks_before, found.came_back) == (3, 3, 2)
    assert (found.is_exact, found.maybe_lost, found.lost_numbers) == (True, ["p0.1"], [1])
    assert ledger.pending == {"p0.1"}


@pytest.mark.parametrize(
    ("recipe", "kinds"),
    [(SELF_INSTRUCT, (FinishedTask,)), (ALPACA, (FinishedTask,)), (ALPACA, (FinishedTask, TaskInstances))],
)
async def test_finished_tasks_come_before_those_on_the_way(
    open_broker: OpenBroker, recipe: Recipe, kinds: tuple[type[Message], ...]
) -> None:
    async with open_broker() as broker:
        kept = _without(whole_run(recipe), "p0.0", *kinds)
        _, found, ledger = await salvaged(broker, kept, partitions=1)
    assert {task.id for task in ledger.tasks} == set(_NAMES[:3])
    assert (found.came_back, found.again) == (3, ["p0.0"])


async def test_the_end_of_a_run_tells_how_many_were_finished(open_broker: OpenBroker) -> None:
    messages = [*whole_run(), RunEnded.target_reached(RUN, 3)]
    async with open_broker() as broker:
        kept = [message for message in messages if not isinstance(message, FinishedTask)]
        _, found, _ = await salvaged(broker, kept, partitions=1)
    assert (found.tasks_before, found.came_back, found.again) == (3, 3, list(_NAMES[:3]))


async def test_what_is_uncertain_does_not_count_as_come_back(open_broker: OpenBroker) -> None:
    messages = _without([*whole_run(), RunEnded.target_reached(RUN, 3)], "p0.1", TaskInstances)
    async with open_broker() as broker:
        kept = [message for message in messages if not isinstance(message, FinishedTask)]
        progress, found, _ = await salvaged(broker, kept, partitions=1)
    assert (progress.finished, found.tasks_before, found.came_back) == (3, 3, 0)
    assert (found.is_exact, found.maybe_lost) == (False, list(_NAMES))


def test_the_topic_of_a_prompt_is_known_from_its_tasks() -> None:
    found = Salvaged()
    provenance = structs.replace(examples.PROVENANCE, prompt_id="p7", topic="billing")
    found.apply(structs.replace(examples.pooled(3), provenance=provenance))
    found.apply(structs.replace(examples.instruction("p8.0"), provenance=structs.replace(provenance, prompt_id="p8")))
    assert found.topics == {"p7": "billing", "p8": "billing"}
