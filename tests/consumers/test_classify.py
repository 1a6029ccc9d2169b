import pytest

from consumers.classify import Classify
from service.lm.call_cost import CallCost
from service.lm.errors import CallFailedError
from service.lm.port import FinishReason
from service.lm.usage import Usage
from service.messaging.messages import FailedCall
from service.selfinstruct.recipe import SELF_INSTRUCT, Sampling
from tests.fakes.models import ScriptedModel, always, completed
from tests.support import examples

pytestmark = pytest.mark.anyio

SAMPLING = Sampling(0.0, 0.0, 3, ("\n", "Task"))
INSTRUCTION = examples.instruction("p0.1", "Is this sentence rude or polite?")


def stage(model: ScriptedModel) -> Classify:
    return Classify(model, SELF_INSTRUCT, examples.TEMPLATES, SAMPLING)


@pytest.mark.parametrize(
    ("reply", "is_classification"),
    [(" Yes", True), ("yes", True), (" No", False), ("**Yes**", True), ("Yes, it is", True), ("\n\nNo.", False)],
)
async def test_yes_means_a_classification_task(reply: str, *, is_classification: bool) -> None:
    model = ScriptedModel(always(reply))
    (classified,) = await stage(model)(INSTRUCTION)
    assert model.asked == ["Is it? Is this sentence rude or polite?"]
    assert classified.is_classification is is_classification
    assert classified.failure is None
    assert classified.call is not None
    assert classified.call.completion == reply


@pytest.mark.parametrize("reply", ["", "Maybe", "Okay, the", "I'm sorry, but I can't help with that."])
async def test_what_says_neither_yes_nor_no_is_a_failure(reply: str) -> None:
    (classified,) = await stage(ScriptedModel(always(reply)))(INSTRUCTION)
    assert classified.is_classification is None
    assert classified.failure == f'expected yes or no, got "{reply}"'
    assert classified.call is not None


async def test_the_answer_may_have_used_up_its_tokens() -> None:
    (classified,) = await stage(ScriptedModel(always(completed("Yes", FinishReason.LENGTH))))(INSTRUCTION)
    assert classified.is_classification is True


async def test_the_instruction_goes_on_as_it_came() -> None:
    (classified,) = await stage(ScriptedModel(always("No")))(INSTRUCTION)
    for name in ("id", "pool_seq", "instruction", "provenance"):
        assert getattr(classified, name) == getattr(INSTRUCTION, name)


async def test_after_a_failed_call_nobody_can_tell() -> None:
    error = CallFailedError("timed out", cost=CallCost(2, Usage(9, 1)))
    (classified,) = stage(ScriptedModel(always(""))).give_up(INSTRUCTION, error)
    assert classified.spent == FailedCall(attempts=2, wasted=Usage(9, 1))
    assert (classified.is_classification, classified.call, classified.failure) == (None, None, "timed out")
    assert classified.id == INSTRUCTION.id
