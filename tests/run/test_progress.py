import random

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from service.billing.totals import PICO, Spent
from service.messaging.messages import Ending, Message, RunEnded, TaskInstances
from service.run.progress import Progress
from service.selfinstruct.tasks import InstanceReason
from tests.support import examples
from tests.support.logs import RUN

ENDED = RunEnded(run=RUN, ending=Ending.STALLED, target=3, finished=1, detail="")


def fold(*messages: Message) -> Progress:
    progress = Progress()
    for message in messages:
        progress.apply(message)
    return progress


def test_a_run_is_counted_from_its_messages() -> None:
    unpriced = structs.replace(examples.CALL, usage=None, cost_usd=None, attempts=3)
    progress = fold(
        examples.definition(2),
        examples.goal(5),
        examples.pooled_seed(0),
        examples.pooled_seed(1),
        *map(examples.prompt, range(4)),
        examples.answer(0),
        structs.replace(examples.answer(1), call=unpriced),
        examples.pooled(2),
        examples.decision(0, accepted=2, pool_size=4),
        examples.decision(1, pool_size=4),
        examples.decision(2, failure="timed out", pool_size=4),
        examples.classified("p0.0", is_classification=True),
        examples.classified("p0.1", is_classification=None, failure="timed out"),
        examples.task_instances("p0.0"),
        examples.task_instances("p0.1", InstanceReason.NONE_PARSED),
        examples.finished(0),
    )
    assert (progress.seeds, progress.pool, progress.pool_promised) == (2, 3, 4)
    assert (progress.prompts, progress.decided, progress.outstanding, progress.failed_prompts) == (4, 3, 1, 1)
    assert (progress.accepted, progress.rejected, progress.candidates) == (2, {"too_short": 2}, 4)
    assert (progress.finished, progress.instances, progress.dropped) == (1, 1, {"none_parsed": 1})
    assert (progress.pending, progress.fruitless, progress.target, progress.reached) == (0, 2, 5, False)
    assert progress.spent == {
        "generate": Spent(2, 4, 10, 5, uncounted=1, priced=1, unpriced=1, cost=PICO // 2),
        "classify": Spent(1, 1, 10, 5, priced=1, cost=PICO // 2),
        "instances": Spent(2, 2, 20, 10, priced=2, cost=PICO),
    }


def test_the_order_between_topics_does_not_matter() -> None:
    messages: list[Message] = [
        examples.definition(2),
        examples.goal(5),
        examples.pooled_seed(0),
        *map(examples.prompt, range(4)),
        examples.decision(0, accepted=2, pool_size=4),
        examples.decision(1, accepted=1, pool_size=5),
        examples.task_instances("p0.0"),
        examples.task_instances("p0.1", InstanceReason.NONE_PARSED),
        examples.finished(0),
        examples.answer(0),
    ]
    expected = fold(*messages)
    for seed in range(20):
        assert fold(*random.Random(seed).sample(messages, len(messages))) == expected


@given(st.permutations(range(4)))
def test_a_task_with_a_second_usable_answer_counts_as_finished(order: list[int]) -> None:
    """The rejection and the usable answer are in one topic, in this order."""
    rejected, usable = examples.task_instances("m0", InstanceReason.NONE_PARSED), examples.task_instances("m0")
    instances = [rejected, usable]
    others: list[Message] = [examples.decision(0, accepted=2), examples.finished(0)]
    progress = fold(*(instances.pop(0) if place < 2 else others[place - 2] for place in order))
    assert (progress.finished, progress.dropped.total(), progress.pending) == (1, 0, 1)


def test_fruitless_prompts_are_counted_from_the_last_acceptance() -> None:
    barren = [examples.decision(seq) for seq in range(3)]
    assert fold(*barren).fruitless == 3
    assert fold(*barren, examples.decision(3, accepted=1)).fruitless == 0
    assert fold(examples.decision(3, accepted=1), *barren).fruitless == 3


def test_a_task_rejected_twice_is_dropped_once_and_paid_twice() -> None:
    rejected: TaskInstances = examples.task_instances("p0.0", InstanceReason.NONE_VALID)
    progress = fold(rejected, rejected)
    assert progress.dropped.total() == 1
    assert (progress.spent["instances"].calls, progress.paid_twice) == (2, 1)


def test_an_instance_without_a_call_costs_nothing() -> None:
    assert fold(structs.replace(examples.task_instances("p0.0"), call=None)).spent == {}


def test_the_target_is_reached_with_at_least_that_many_tasks() -> None:
    assert not fold(examples.finished(0)).reached
    assert not fold(examples.goal(2), examples.finished(0)).reached
    assert fold(examples.goal(2), examples.finished(0), examples.finished(1)).reached
    assert fold(examples.goal(1), examples.finished(0), examples.finished(1)).reached


def test_a_new_goal_wakes_a_run_that_had_ended() -> None:
    assert fold(examples.goal(3), ENDED).ended == ENDED
    woken = fold(examples.goal(3), ENDED, examples.goal(4))
    assert (woken.ended, woken.target) == (None, 4)


def test_an_end_for_an_earlier_goal_does_not_end_the_run() -> None:
    """The writer of the end had not read the new goal yet."""
    assert fold(examples.goal(3), examples.goal(5), ENDED).ended is None
    raised = [structs.replace(examples.goal(3), budget_usd=budget) for budget in (1.0, 2.0)]
    spent = structs.replace(ENDED, ending=Ending.BUDGET_SPENT, goal=raised[0])
    assert fold(raised[0], spent).ended == spent
    assert fold(*raised, spent).ended is None
