import pytest

from consumers.generate import Generate
from service.lm.call_cost import CallCost
from service.lm.errors import CallFailedError
from service.lm.port import Completion, FinishReason
from service.lm.usage import Usage
from service.messaging.messages import Answer, FailedCall, FailedPrompt
from service.selfinstruct.recipe import ALPACA, SELF_INSTRUCT
from service.selfinstruct.tasks import Reason
from tests.fakes.models import MODEL, ScriptedModel, always, completed
from tests.support import examples

pytestmark = pytest.mark.anyio


async def test_an_answer_carries_its_completion_candidates_and_origin() -> None:
    model = ScriptedModel(always(" Name a river.\n10. Name a mountain of Asia."))
    prompt = examples.prompt(3)
    (answer,) = await Generate(model, SELF_INSTRUCT)(prompt)
    assert model.asked == [prompt.text]
    assert [candidate.instruction for candidate in answer.candidates] == ["Name a river.", "Name a mountain of asia."]
    assert (answer.call.completion, answer.call.model) == (" Name a river.\n10. Name a mountain of Asia.", MODEL)
    same = ("demonstrations", "depth", "recipe", "templates")
    assert [getattr(answer, name) for name in same] == [getattr(prompt, name) for name in same]
    assert (answer.prompt_id, answer.prompt_seq) == ("p3", 3)


async def test_a_cut_completion_is_kept_and_its_candidates_refused() -> None:
    model = ScriptedModel(always(completed("Name a river.\n10. Name a", FinishReason.LENGTH)))
    (answer,) = await Generate(model, SELF_INSTRUCT)(examples.prompt(0))
    assert answer.call.truncated
    assert [candidate.rejection for candidate in answer.candidates] == [Reason.TRUNCATED, Reason.TRUNCATED]


async def test_an_empty_completion_is_an_answer_too() -> None:
    (answer,) = await Generate(ScriptedModel(always("")), SELF_INSTRUCT)(examples.prompt(0))
    assert isinstance(answer, Answer)
    assert [candidate.rejection for candidate in answer.candidates] == [Reason.EMPTY]


async def test_alpaca_candidates_come_with_their_instance() -> None:
    reply = (
        " Add the numbers.\n4. Input:\n2, 3\n4. Output:\n5\n###\n5. Instruction: Tell a joke.\n5. Input:\n<noinput>\n"
    )
    (answer,) = await Generate(ScriptedModel(always(reply)), ALPACA)(examples.prompt(0))
    first, second = answer.candidates
    assert (first.instruction, first.rejection) == ("Add the numbers.", None)
    assert first.instance is not None
    assert (first.instance.input, first.instance.output) == ("2, 3", "5")
    assert second.rejection is Reason.MALFORMED


async def test_a_failed_call_becomes_a_failed_prompt() -> None:
    stage = Generate(ScriptedModel(always("")), SELF_INSTRUCT)
    error = CallFailedError("timed out six times", cost=CallCost(6, Usage(60, 5), 0.25, "2026-11"))
    spent = FailedCall(attempts=6, wasted=Usage(60, 5), cost_usd=0.25, prices="2026-11")
    given_up = stage.give_up(examples.prompt(4), error)
    assert given_up == [FailedPrompt(prompt_id="p4", prompt_seq=4, failure="timed out six times", spent=spent)]


async def test_an_answer_has_the_usage_and_prices_of_failed_attempts() -> None:
    paid = Completion("", FinishReason.STOP, MODEL, Usage(10, 5), CallCost(3, Usage(20, 1), 0.5, "2026-11"))
    (answer,) = await Generate(ScriptedModel(always(paid)), SELF_INSTRUCT)(examples.prompt(0))
    call = answer.call
    assert (call.usage, call.attempts, call.wasted) == (Usage(10, 5), 3, Usage(20, 1))
    assert (call.cost_usd, call.prices) == (0.5, "2026-11")
