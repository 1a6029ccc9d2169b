"""An unreadable answer is paid and asked for again a few times. It never counts as an answer."""

from dataclasses import replace

import anyio
import pytest

from consumers.classify import Classify
from service.adapters.openai import OpenAIEndpoint, OpenAIOptions
from service.lm.call_cost import CallCost
from service.lm.dispatch import Dispatcher, Patience, UpstreamState
from service.lm.errors import CallFailedError, Failing, UnansweredError
from service.lm.port import Completion, FinishReason
from service.lm.usage import Usage
from service.messaging.messages import FailedCall
from service.selfinstruct.asking import ask_whether_classification
from service.selfinstruct.model_input import AnswerCheck, ModelInput
from service.selfinstruct.recipe import SELF_INSTRUCT, Form, Recipe, RecipeName, recipe_for
from tests.adapters.scripted_server import Reply, chat, scripted_server
from tests.lm.dispatch.endpoints import AT_ONCE, SAMPLING, USAGE, ScriptedEndpoint, Step, completed, failed, over
from tests.support import examples

pytestmark = pytest.mark.anyio

ASKED = ModelInput("Is it?", check=AnswerCheck("yes or no", lambda reply: reply in {"Yes", "No"}))
PATIENT = Patience(attempts=10)
JSON = recipe_for(RecipeName.SELF_INSTRUCT, Form.JSON, chat_model=True)
TEMPLATES = replace(examples.TEMPLATES, json_classification="You sort tasks.\n---\n{{instruction}}")
INSTRUCTION = examples.instruction("p0.1", "Is this sentence rude or polite?")


def cut(text: str) -> Completion:
    return Completion(text, FinishReason.LENGTH, "scripted", USAGE)


async def asked_of(model: Dispatcher, prompt: ModelInput = ASKED) -> Completion | CallFailedError:
    """Return the completion, or the error of a failed call."""
    try:
        return await model.complete(prompt, SAMPLING)
    except CallFailedError as error:
        return error


async def given_up(endpoint: ScriptedEndpoint, patience: Patience = PATIENT) -> UnansweredError:
    """Return the error with which a call is given up."""
    async with over(endpoint, patience=patience).running() as model:
        came = await asked_of(model)
    assert isinstance(came, UnansweredError)
    return came


async def test_what_answers_something_else_is_asked_for_three_times() -> None:
    endpoint = ScriptedEndpoint(otherwise=lambda: completed("Maybe"))
    error = await given_up(endpoint)
    assert (error.failing, error.cost.attempts, error.cost.wasted) == (Failing.UNREADABLE, 3, Usage(30, 15))
    assert len(endpoint.asked) == 3


async def test_the_reason_says_what_was_expected_and_what_came() -> None:
    endpoint = ScriptedEndpoint([completed("One"), completed("Two"), completed("It\n depends\x1b[31m")])
    reason = str(await given_up(endpoint))
    assert "3 attempts failed" in reason
    assert 'should have answered yes or no, and its answer is "It depends\N{REPLACEMENT CHARACTER}[31m".' in reason
    assert "lm_thinking_tokens" not in reason


async def test_the_reason_names_the_room_that_a_cut_answer_lacks() -> None:
    reason = str(await given_up(ScriptedEndpoint(otherwise=lambda: cut("Well, the user"))))
    assert 'its answer, cut by its length, is "Well, the user"' in reason
    assert "lm_thinking_tokens" in reason


@pytest.mark.parametrize(("usage", "wasted"), [(Usage(7, 3), Usage(7, 3)), (None, None)])
async def test_an_answer_after_another_brings_what_both_took(usage: Usage | None, wasted: Usage | None) -> None:
    endpoint = ScriptedEndpoint([completed("Maybe", usage), completed("Yes")])
    async with over(endpoint).running() as model:
        completion = await model.complete(ASKED, SAMPLING)
    assert completion == replace(completed("Yes"), cost=CallCost(2, wasted))


async def test_the_third_answer_still_counts() -> None:
    endpoint = ScriptedEndpoint([completed("Maybe"), cut(""), completed("No")])
    async with over(endpoint).running() as model:
        completion = await model.complete(ASKED, SAMPLING)
    assert (completion.text, completion.cost.attempts, completion.cost.wasted) == ("No", 3, Usage(20, 10))


async def test_other_failures_are_not_counted_as_such_answers() -> None:
    first: list[Step] = [failed(), completed("Maybe"), failed(usage=Usage(1, 0))]
    passing = [*first, completed("Maybe"), failed(Failing.OVERLOADED)]
    async with over(ScriptedEndpoint([*passing, completed("Yes")]), patience=PATIENT).running() as model:
        completion = await model.complete(ASKED, SAMPLING)
    assert (completion.cost.attempts, completion.cost.wasted) == (6, Usage(21, 10))
    error = await given_up(ScriptedEndpoint([*passing, completed("Perhaps")]))
    assert (error.cost.attempts, error.cost.wasted) == (6, Usage(31, 15))
    assert '"Perhaps"' in str(error)


async def test_such_answers_use_up_a_call_s_attempts() -> None:
    endpoint = ScriptedEndpoint(otherwise=lambda: completed("Maybe"))
    assert (await given_up(endpoint, Patience(attempts=2))).cost.attempts == 2


async def test_without_a_check_any_text_is_an_answer() -> None:
    endpoint = ScriptedEndpoint(otherwise=lambda: completed("Maybe"))
    async with over(endpoint).running() as model:
        assert (await model.complete(ModelInput("Write."), SAMPLING)).text == "Maybe"
    assert len(endpoint.asked) == 1


async def test_a_server_whose_answers_say_nothing_is_there() -> None:
    endpoint = ScriptedEndpoint(otherwise=lambda: completed("Maybe"))
    async with over(endpoint).running() as model:
        before = model.balancer.limit
        for _ in range(10):
            assert isinstance(await asked_of(model), UnansweredError)
        (upstream,) = model.balancer.all
        assert upstream.state(anyio.current_time()) is UpstreamState.OPEN
        assert (model.refusal, model.balancer.limit >= before) == (None, True)


async def test_another_server_is_asked_where_there_is_one() -> None:
    vague, clear = ScriptedEndpoint(otherwise=lambda: completed("Maybe")), ScriptedEndpoint([completed("Yes")])
    async with over(vague, clear).running() as model:
        completion = await model.complete(ASKED, SAMPLING)
    assert (completion.text, len(vague.asked), len(clear.asked)) == ("Yes", 1, 1)


@pytest.mark.parametrize("recipe", [SELF_INSTRUCT, JSON], ids=["text", "json"])
async def test_a_verdict_that_says_neither_is_asked_for_again(recipe: Recipe) -> None:
    endpoint = ScriptedEndpoint([completed("Maybe"), completed("**Yes**")])
    async with over(endpoint).running() as model:
        (classified,) = await Classify(model, recipe, TEMPLATES, SAMPLING)(INSTRUCTION)
    assert (classified.is_classification, classified.failure) == (True, None)
    assert classified.call is not None
    assert (classified.call.attempts, classified.call.wasted) == (2, USAGE)


@pytest.mark.parametrize("recipe", [SELF_INSTRUCT, JSON], ids=["text", "json"])
async def test_without_a_verdict_the_failure_says_why_and_is_paid(recipe: Recipe) -> None:
    endpoint = ScriptedEndpoint(otherwise=lambda: completed("It depends."))
    async with over(endpoint, patience=PATIENT).running() as model:
        error = await asked_of(model, ask_whether_classification(recipe, TEMPLATES, INSTRUCTION.instruction))
    assert isinstance(error, CallFailedError)
    (classified,) = Classify(model, recipe, TEMPLATES, SAMPLING).give_up(INSTRUCTION, error)
    assert (classified.is_classification, classified.call) == (None, None)
    assert classified.spent == FailedCall(attempts=3, wasted=Usage(30, 15))
    assert classified.failure is not None
    assert 'answered yes or no, and its answer is "It depends."' in classified.failure


async def asked_of_a_server(reply: Reply) -> tuple[Completion | CallFailedError, int]:
    """Ask a server with one fixed reply for a verdict in JSON. Return the outcome and the number of requests."""
    async with scripted_server(*[reply] * 9) as server:
        options = OpenAIOptions(base_url=server.url, model="m", api="chat", thinking_tokens=0)
        async with (
            OpenAIEndpoint(options) as endpoint,
            Dispatcher.over([endpoint], 4, PATIENT, AT_ONCE).running() as model,
        ):
            came = await asked_of(model, ask_whether_classification(JSON, TEMPLATES, "Name a river."))
    return came, len(server.requests)


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
@pytest.mark.parametrize("content", [None, "", "\n\n"])
async def test_json_beside_no_text_is_the_answer(content: str | None, field: str) -> None:
    verdict = '{"is_classification": true}'
    came, requests = await asked_of_a_server(chat(content, **{field: verdict}))
    assert isinstance(came, Completion)
    assert (came.text, came.in_reasoning, requests) == (verdict, True, 1)


@pytest.mark.parametrize("beside", ["Yes", '{"verdict": true}', '{"is_classification": "no"}', 'So {"is_class'])
async def test_thinking_that_is_no_such_json_is_no_answer(beside: str) -> None:
    came, requests = await asked_of_a_server(chat(None, reasoning_content=beside))
    assert isinstance(came, CallFailedError)
    assert (came.failing, requests) == (Failing.THINKING, 1)


async def test_json_beside_another_text_is_not_looked_at() -> None:
    came, requests = await asked_of_a_server(chat("Maybe", reasoning_content='{"is_classification": true}'))
    assert isinstance(came, UnansweredError)
    assert (came.failing, requests) == (Failing.UNREADABLE, 3)
