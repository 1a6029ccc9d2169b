from dataclasses import replace

import pytest

from consumers.instances import WriteInstances
from service.lm.call_cost import CallCost
from service.lm.errors import CallFailedError
from service.lm.port import FinishReason
from service.lm.usage import Usage
from service.messaging.messages import FailedCall
from service.selfinstruct.recipe import SELF_INSTRUCT, Sampling
from service.selfinstruct.tasks import Instance, InstanceReason
from tests.fakes.models import ScriptedModel, always, completed
from tests.support import examples

pytestmark = pytest.mark.anyio

SAMPLING = Sampling(0.0, 0.0, 350, ("Example 6", "Task:"))
GENERATION = examples.classified("p0.1", is_classification=False)
CLASSIFICATION = examples.classified("p0.2", is_classification=True)
MANY = "".join(f"Example {number}\nInput: {number}\nOutput: a{number}\n" for number in range(1, 9))


def stage(model: ScriptedModel, max_instances: int = 5, random_seed: int = 0) -> WriteInstances:
    recipe = replace(SELF_INSTRUCT, max_instances=max_instances)
    return WriteInstances(model, recipe, examples.TEMPLATES, SAMPLING, SAMPLING, random_seed)


async def test_generation_tasks_are_asked_for_input_first() -> None:
    model = ScriptedModel(always("Example 1\nInput: two\nOutput: 2\nExample 2\nInput: six\nOutput: 6"))
    (written,) = await stage(model)(GENERATION)
    assert model.asked == ["Solve: Name three rivers of Europe.\n"]
    assert written.instances == (Instance("two", "2"), Instance("six", "6"))
    assert (written.rejection, written.failure, written.is_classification) == (None, None, False)


async def test_classification_tasks_are_asked_for_the_label_first() -> None:
    model = ScriptedModel(always("Class label: rude\nGo away!\nClass label: polite\nPlease come."))
    (written,) = await stage(model)(CLASSIFICATION)
    assert model.asked == ["Label: Name three rivers of Europe.\n"]
    assert written.instances == (Instance("Go away!", "rude"), Instance("Please come.", "polite"))


async def test_the_task_goes_on_as_it_came_with_the_call() -> None:
    (written,) = await stage(ScriptedModel(always("Output: Rhine")))(GENERATION)
    for name in ("id", "pool_seq", "instruction", "provenance", "is_classification"):
        assert getattr(written, name) == getattr(GENERATION, name)
    assert written.call is not None
    assert written.call.completion == "Output: Rhine"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("I am not able to do that.", InstanceReason.NONE_PARSED),
        ("", InstanceReason.NONE_PARSED),
        ("Example 1\nInput: same\nOutput: same", InstanceReason.NONE_VALID),
        ("Example 1\nInput: x\nOutput: 1\nExample 2\nInput: x\nOutput: 2", InstanceReason.CONTRADICTORY),
    ],
)
async def test_an_answer_without_usable_instances_says_why_and_is_kept(reply: str, reason: InstanceReason) -> None:
    (written,) = await stage(ScriptedModel(always(reply)))(GENERATION)
    assert (written.instances, written.rejection, written.failure) == ((), reason, None)
    assert written.call is not None


async def test_the_last_instance_of_a_truncated_answer_is_left_out() -> None:
    reply = completed("Example 1\nInput: two\nOutput: 2\nExample 2\nInput: six\nOutp", FinishReason.LENGTH)
    (written,) = await stage(ScriptedModel(always(reply)))(GENERATION)
    assert written.instances == (Instance("two", "2"),)


async def test_kept_instances_depend_on_the_seed_and_the_task_alone() -> None:
    model = ScriptedModel(always(MANY))
    kept = [(await stage(model, 3, seed)(GENERATION))[0].instances for seed in (0, 0, 1, 2, 3)]
    assert {len(instances) for instances in kept} == {3}
    assert kept[0] == kept[1]
    assert len(set(kept)) > 1


async def test_a_task_that_nobody_could_classify_is_not_asked_about() -> None:
    model = ScriptedModel(always("Output: x"))
    unknown = examples.classified("p0.3", is_classification=None, failure="timed out")
    (written,) = await stage(model)(unknown)
    assert model.asked == []
    assert (written.rejection, written.failure, written.call) == (InstanceReason.CALL_FAILED, "timed out", None)
    assert written.spent is None


async def test_a_failed_call_leaves_the_task_without_instances() -> None:
    error = CallFailedError("timed out", cost=CallCost(2, Usage(9, 1)))
    (written,) = stage(ScriptedModel(always(""))).give_up(GENERATION, error)
    assert written.spent == FailedCall(attempts=2, wasted=Usage(9, 1))
    assert (written.instances, written.rejection) == ((), InstanceReason.CALL_FAILED)
    assert (written.id, written.failure, written.call) == ("p0.1", "timed out", None)
