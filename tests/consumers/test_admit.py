import pytest

from consumers.admit import Admit
from service.errors import BrokerError
from service.messaging.messages import Decision, Instruction, Message, Origin, PooledTask, TaskInstances
from service.pool.batch import Input
from service.selfinstruct.recipe import ALPACA, SELF_INSTRUCT
from service.selfinstruct.tasks import Candidate, Instance, Reason
from tests.support import examples

pytestmark = pytest.mark.anyio

RIVERS = "Name three rivers that flow through Europe"
ALIKE = "Name three rivers that flow through Asia"
LETTER = "Write a letter to the mayor of your town"
SUM = "Add all the numbers from one to ten"


async def judged(admit: Admit, *batch: Input) -> list[Message]:
    """Judge a batch and restore its results, as the committer does."""
    outcome = await admit(batch)
    assert outcome.consumed == len(batch)
    results = [message for _, message in outcome.results]
    for message in results:
        admit.restore(message)
    return results


def pool_of(results: list[Message]) -> list[PooledTask]:
    return [message for message in results if isinstance(message, PooledTask)]


def decisions_of(results: list[Message]) -> list[Decision]:
    return [message for message in results if isinstance(message, Decision)]


async def test_a_seed_joins_the_pool_unfiltered() -> None:
    admit = Admit(SELF_INSTRUCT)
    results = await judged(admit, examples.seed(0, "Draw."), examples.seed(1, "Draw."))
    assert [(task.pool_seq, task.id, task.origin, task.instruction) for task in pool_of(results)] == [
        (0, "s0", Origin.HUMAN, "Draw."),
        (1, "s1", Origin.HUMAN, "Draw."),
    ]
    assert pool_of(results)[0].seed == examples.seed_task(0, "Draw.")
    assert len(results) == 2


async def test_a_pooled_task_and_its_work_come_before_the_decision() -> None:
    admit = Admit(SELF_INSTRUCT)
    await judged(admit, examples.seed(0, LETTER))
    pooled, work, decision = await judged(admit, examples.answer(5, RIVERS))
    assert isinstance(pooled, PooledTask)
    assert isinstance(work, Instruction)
    assert isinstance(decision, Decision)
    assert (pooled.pool_seq, pooled.id, pooled.origin, pooled.instruction) == (1, "p5.0", Origin.MACHINE, RIVERS)
    assert (work.id, work.pool_seq, work.instruction, work.provenance) == ("p5.0", 1, RIVERS, pooled.provenance)
    assert pooled.provenance is not None
    assert (pooled.provenance.prompt_id, pooled.provenance.parents) == ("p5", ("s0", "s1"))
    assert (pooled.provenance.depth, pooled.depth) == (3, 3)
    assert (pooled.provenance.templates, pooled.provenance.model) == ("tt", "scripted")
    assert pooled.provenance.recipe == decision.recipe == SELF_INSTRUCT.digest
    assert (decision.prompt_id, decision.prompt_seq, decision.accepted, decision.pool_size) == ("p5", 5, 1, 2)


async def test_a_decision_has_a_verdict_on_every_candidate_in_order() -> None:
    admit = Admit(SELF_INSTRUCT)
    await judged(admit, examples.seed(0, RIVERS))
    refused = Candidate(2, "", rejection=Reason.EMPTY)
    answer = examples.answer(1, "Too short", "Draw a picture of your own house", refused, ALIKE, LETTER)
    (decision,) = decisions_of(await judged(admit, answer))
    assert [(verdict.id, verdict.reason) for verdict in decision.verdicts] == [
        ("p1.0", Reason.TOO_SHORT),
        ("p1.1", Reason.BLOCKED_WORD),
        ("p1.2", Reason.EMPTY),
        ("p1.3", Reason.TOO_SIMILAR),
        ("p1.4", None),
    ]
    assert [verdict.nearest for verdict in decision.verdicts] == [None, None, None, "s0", None]
    assert decision.verdicts[3].score == pytest.approx(6 / 7)
    assert (decision.accepted, decision.pool_size) == (1, 2)


async def test_the_nearest_may_be_an_accepted_sibling_in_the_batch() -> None:
    admit = Admit(SELF_INSTRUCT)
    await judged(admit, examples.seed(0, LETTER))
    first, second = decisions_of(
        await judged(admit, examples.answer(1, SUM, RIVERS, ALIKE), examples.answer(2, RIVERS, LETTER))
    )
    assert [verdict.nearest for verdict in first.verdicts] == [None, None, "p1.1"]
    assert [verdict.nearest for verdict in second.verdicts] == ["p1.1", "s0"]
    assert [verdict.score for verdict in second.verdicts] == [1.0, 1.0]
    assert (first.pool_size, second.pool_size) == (3, 3)


async def test_pool_numbers_are_dense_over_answers_batches_and_seeds() -> None:
    admit = Admit(SELF_INSTRUCT)
    results = await judged(admit, examples.seed(0), examples.answer(0, RIVERS, "no", SUM), examples.seed(1))
    results += await judged(admit, examples.answer(1, LETTER), examples.failed(2))
    assert [task.pool_seq for task in pool_of(results)] == [0, 1, 2, 3, 4]
    assert [decision.pool_size for decision in decisions_of(results)] == [3, 5, 5]
    work = [message for message in results if isinstance(message, Instruction)]
    assert [(message.id, message.pool_seq) for message in work] == [("p0.0", 1), ("p0.2", 2), ("p1.0", 4)]


async def test_a_failed_prompt_ends_in_a_decision_with_the_failure() -> None:
    (decision,) = decisions_of(await judged(Admit(SELF_INSTRUCT), examples.failed(4, "timed out")))
    assert (decision.prompt_id, decision.prompt_seq, decision.failure) == ("p4", 4, "timed out")
    assert (decision.verdicts, decision.accepted) == ((), 0)


async def test_what_is_decided_or_pooled_already_is_passed_over() -> None:
    admit = Admit(SELF_INSTRUCT)
    batch: list[Input] = [examples.seed(0), examples.answer(0, RIVERS), examples.failed(1)]
    assert len(await judged(admit, *batch, *batch)) == 1 + 3 + 1
    again: list[Input] = [examples.failed(0), examples.answer(1, LETTER), examples.seed(0, SUM)]
    assert await judged(admit, *batch, *again) == []


async def test_results_name_the_place_of_their_cause_in_the_batch() -> None:
    outcome = await Admit(SELF_INSTRUCT)(
        [examples.seed(0), examples.seed(0), examples.answer(0, RIVERS, SUM), examples.failed(1)]
    )
    assert [place for place, _ in outcome.results] == [0, 2, 2, 2, 2, 2, 3]


async def test_judging_changes_nothing_until_it_is_remembered() -> None:
    admit = Admit(SELF_INSTRUCT)
    await judged(admit, examples.seed(0))
    batch: list[Input] = [examples.answer(0, RIVERS, ALIKE), examples.answer(1, SUM), examples.seed(1)]
    assert await admit(batch) == await admit(batch)


async def test_an_alpaca_candidate_keeps_its_instance_without_a_call() -> None:
    instance = Instance("two and three", "five")
    candidates = Candidate(0, RIVERS, instance), Candidate(1, SUM, Instance("", " "))
    results = await judged(Admit(ALPACA), examples.answer(0, *candidates))
    pooled, task, decision = results
    assert isinstance(task, TaskInstances)
    assert (task.id, task.pool_seq, task.instruction, task.instances) == ("p0.0", 0, RIVERS, (instance,))
    assert (task.is_classification, task.rejection, task.call, task.failure) == (None, None, None, None)
    assert isinstance(pooled, PooledTask)
    assert task.provenance == pooled.provenance
    assert isinstance(decision, Decision)
    assert [verdict.reason for verdict in decision.verdicts] == [None, Reason.EMPTY_OUTPUT]


async def test_a_hole_in_the_pool_is_an_error() -> None:
    admit = Admit(SELF_INSTRUCT)
    admit.restore(examples.pooled_seed(0))
    with pytest.raises(BrokerError, match="expected task 1, got 2"):
        admit.restore(examples.pooled_seed(2))


async def test_it_always_wants_more() -> None:
    assert Admit(SELF_INSTRUCT).wants_more()


async def test_an_answer_to_a_settled_prompt_is_counted_as_repeated() -> None:
    admit = Admit(SELF_INSTRUCT)
    admit.restore(examples.decision(3))
    batch: list[Input] = [examples.answer(3), examples.answer(4), examples.answer(4), examples.failed(3)]
    assert (await admit(batch)).repeated == 2
