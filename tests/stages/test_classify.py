import pytest

from consumers.classify import Classify
from service.errors import CallFailedError
from service.lm import FinishReason
from service.messages import FailedCall
from service.selfinstruct.recipe import Sampling
from service.usage import Usage
from tests.fakes.models import ScriptedModel, always, completed
from tests.stages import examples

pytestmark = pytest.mark.anyio

SAMPLING = Sampling(0.0, 0.0, 3, ("\n", "Task"))
INSTRUCTION = examples.instruction("p0.1", "Is this sentence rude or polite?")


def stage(model: ScriptedModel) -> Classify:
    return Classify(model, examples.TEMPLATES.classification, SAMPLING)


@pytest.mark.parametrize(
    ("reply", "is_classification"),
    [(" Yes", True), ("yes", True), (" No", False), ("", False), ("Yes, it is", False), ("Maybe", False)],
)
async def test_yes_means_a_classification_task_and_anything_else_does_not(
    reply: str, *, is_classification: bool
) -> None:
    model = ScriptedModel(always(reply))
    (classified,) = await stage(model)(INSTRUCTION)
    assert model.asked == ["Is it? Is this sentence rude or polite?"]
    assert classified.is_classification is is_classification
    assert classified.failure is None
    assert classified.call is not None
    assert classified.call.completion == reply


async def test_the_answer_may_have_used_up_its_tokens() -> None:
    (classified,) = await stage(ScriptedModel(always(completed("Yes", FinishReason.LENGTH))))(INSTRUCTION)
    assert classified.is_classification is True


async def test_the_instruction_goes_on_as_it_came() -> None:
    (classified,) = await stage(ScriptedModel(always("No")))(INSTRUCTION)
    for name in ("id", "pool_seq", "instruction", "provenance"):
        assert getattr(classified, name) == getattr(INSTRUCTION, name)


async def test_after_a_failed_call_nobody_can_tell() -> None:
    error = CallFailedError("timed out", attempts=2, wasted=Usage(9, 1))
    (classified,) = stage(ScriptedModel(always(""))).give_up(INSTRUCTION, error)
    assert classified.spent == FailedCall(attempts=2, wasted=Usage(9, 1))
    assert (classified.is_classification, classified.call, classified.failure) == (None, None, "timed out")
    assert classified.id == INSTRUCTION.id
