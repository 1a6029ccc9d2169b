"""The strictness of requests for JSON, and the weaker requests after a server has refused a field by name."""

from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.adapters.openai import Dialect
from service.adapters.openai.server_profiles import Structure
from service.lm.errors import AttemptFailedError, CallFailedError, LanguageModelError
from service.selfinstruct.model_input import CLASSIFICATION, ModelInput
from tests.adapters.conftest import SAMPLING
from tests.adapters.openai.answering_server import JSON_FORM, TEXT_FORM, VERDICT, Body, Conversation, conversation
from tests.adapters.openai.format_refusals import FORMAT_REFUSALS
from tests.adapters.openai.refusals import openai
from tests.adapters.scripted_server import Reply, chat, completion

pytestmark = pytest.mark.anyio

NAMED = {"name": "classification", "schema": CLASSIFICATION.value}
FORMATS = {
    Structure.STRICT: {"type": "json_schema", "json_schema": {**NAMED, "strict": True}},
    Structure.SCHEMA: {"type": "json_schema", "json_schema": NAMED},
    Structure.OBJECT: {"type": "json_object"},
    Structure.NONE: None,
}
FIELDS = {
    Dialect.VLLM: {"response_format": FORMATS[Structure.STRICT]},
    Dialect.SGLANG: {"response_format": FORMATS[Structure.STRICT]},
    Dialect.LLAMACPP: {"json_schema": CLASSIFICATION.value},
}


def way(body: Body) -> Structure:
    return next(way for way, format_ in FORMATS.items() if format_ == body.get("response_format"))


def ways(talk: Conversation) -> list[Structure]:
    return [way(body) for body in talk.bodies]


def unsupported(name: str) -> Reply:
    message = f"Unsupported value: '{name}' does not support this with this model. Only the default is supported."
    return Reply(openai(message, "unsupported_value", param=name), 400)


@pytest.mark.parametrize("refusal", FORMAT_REFUSALS.values(), ids=FORMAT_REFUSALS)
async def test_each_refusal_makes_the_next_request_less_strict(refusal: Reply) -> None:
    with capture_logs() as logs:
        async with conversation(lambda body: refusal if "response_format" in body else chat(VERDICT)) as talk:
            assert [(await talk.ask()).text for _ in range(2)] == [VERDICT] * 2
    assert ways(talk) == [*Structure, Structure.NONE]
    assert [(each["event"], each["json_asked_for_by"]) for each in logs] == [
        ("lm.adapted", step.value) for step in list(Structure)[1:]
    ]


@pytest.mark.parametrize("taken", Structure)
async def test_a_server_gets_the_strictest_request_that_it_accepts(taken: Structure) -> None:
    tried = list(Structure)[: list(Structure).index(taken) + 1]
    refusal = FORMAT_REFUSALS["DeepSeek"]
    async with conversation(lambda body: chat(VERDICT) if way(body) is taken else refusal) as talk:
        await talk.ask()
        await talk.ask()
        described = talk.endpoint.describe()
    assert ways(talk) == [*tried, taken]
    assert described.structure == taken.value
    assert described.asks_for_schema == (taken in {Structure.STRICT, Structure.SCHEMA})


@pytest.mark.parametrize("dialect", Dialect)
async def test_completions_carry_a_schema_if_a_field_exists_for_it(dialect: Dialect) -> None:
    async with conversation(lambda _: completion(VERDICT), api="completions", dialect=dialect) as talk:
        await talk.ask()
    (body,) = talk.bodies
    assert {name: body[name] for name in ("response_format", "json_schema", "provider") if name in body} == (
        FIELDS.get(dialect, {})
    )


async def test_llamacpp_without_schemas_is_asked_in_words_alone() -> None:
    def answer(body: Body) -> Reply:
        return FORMAT_REFUSALS["llama.cpp"] if "json_schema" in body else completion(VERDICT)

    async with conversation(answer, api="completions", dialect="llamacpp") as talk:
        await talk.ask()
        refused = len(talk.bodies) - 1
        await talk.ask()
    assert talk.sent("json_schema") == [*[CLASSIFICATION.value] * refused, None, None]


@pytest.mark.parametrize(("dialect", "told"), [("openrouter", {"require_parameters": True}), ("litellm", None)])
async def test_openrouter_is_told_to_choose_providers_with_the_format(
    dialect: str, told: dict[str, bool] | None
) -> None:
    refusal = FORMAT_REFUSALS["OpenRouter"]
    async with conversation(
        lambda body: refusal if "response_format" in body else chat(VERDICT), dialect=dialect
    ) as talk:
        await talk.ask(TEXT_FORM)
        await talk.ask()
    assert talk.sent("provider") == [None, told, told, told, None]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, openai("messages: too many of them")),
        (400, openai("The value is not one of those allowed for response_format", param="messages")),
        (400, openai("This model's maximum context length is 4096 tokens.", "context_length_exceeded")),
        (400, openai("Your request was rejected as a result of our safety system.", "content_policy_violation")),
        (401, openai("Incorrect API key provided. It is not allowed to use response_format.", "invalid_api_key")),
        (404, openai("The model `asked` does not exist.", "model_not_found")),
        (404, {"detail": "Not Found"}),
        (404, openai("The model `grammar-fixer` does not exist.", "model_not_found")),
        (400, openai("The prompt `Correct the grammar of the strict teacher` is refused.")),
        (422, {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]}),
        (429, openai("Rate limit reached for requests with response_format")),
        (500, openai("The grammar of response_format could not be compiled.", 500, "server_error")),
        (501, openai("This server does not support chat.", 501, "not_supported_error")),
    ],
)
async def test_a_refusal_for_another_reason_makes_it_no_less_strict(status: int, body: object) -> None:
    replies = [Reply(body, status), chat(VERDICT)]
    async with conversation(lambda _: replies.pop(0)) as talk:
        with pytest.raises(LanguageModelError):
            await talk.ask()
        await talk.ask()
    assert ways(talk) == [Structure.STRICT] * 2


@pytest.mark.parametrize(
    ("options", "prompt"), [({}, TEXT_FORM), ({"api": "completions"}, JSON_FORM)], ids=["text form", "no field"]
)
async def test_a_format_refusal_without_a_format_fails_for_good(options: dict[str, Any], prompt: ModelInput) -> None:
    async with conversation(lambda _: FORMAT_REFUSALS["DeepSeek"], **options) as talk:
        with pytest.raises(CallFailedError, match="response_format type is unavailable"):
            await talk.ask(prompt)
    assert len(talk.bodies) == 1


@pytest.mark.parametrize(
    ("refusal", "names"),
    [
        (unsupported("temperature"), {"temperature"}),
        (Reply({"error": "Input validation error: `top_p` must be > 0.0 and < 1.0"}, 422), {"top_p"}),
        (Reply({"error": "Model grok does not support parameter presencePenalty."}, 400), {"presence_penalty"}),
        (Reply({"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "x"}]}, 422), {"seed"}),
        (
            Reply(
                openai(
                    "litellm.UnsupportedParamsError: openai does not support parameters: ['presence_penalty', 'top_p']"
                ),
                400,
            ),
            {"presence_penalty", "top_p"},
        ),
    ],
)
async def test_json_is_asked_for_without_sampling_that_is_refused(refusal: Reply, names: set[str]) -> None:
    async with conversation(lambda body: refusal if names & set(body) else chat(VERDICT), seed=1) as talk:
        await talk.ask()
        with capture_logs() as later:
            await talk.ask()
    asked = [{"temperature", "top_p", "presence_penalty", "seed"} & set(body) for body in talk.bodies]
    assert asked[0] - asked[-1] == names
    assert asked[-2] == asked[-1]
    assert ways(talk) == [Structure.STRICT] * len(talk.bodies)
    assert later == []


async def test_the_text_form_leaves_refused_sampling_to_the_user() -> None:
    async with conversation(lambda _: unsupported("temperature")) as talk:
        for _ in range(2):
            with pytest.raises(CallFailedError, match=r'set lm_omit = \["temperature"\]'):
                await talk.ask(TEXT_FORM)
    assert talk.sent("temperature") == [SAMPLING.temperature] * 2


async def test_format_length_and_sampling_can_be_learnt_in_one_call() -> None:
    def answer(body: Body) -> Reply:
        if "max_tokens" in body:
            message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return Reply(openai(message, "unsupported_parameter", param="max_tokens"), 400)
        refused = next((name for name in ("temperature", "top_p") if name in body), None)
        if refused:
            return unsupported(refused)
        return FORMAT_REFUSALS["OpenAI"] if "response_format" in body else chat(VERDICT)

    async with conversation(answer) as talk:
        assert (await talk.ask()).text == VERDICT
        learning = len(talk.bodies)
        assert (await talk.ask(sampling=replace(SAMPLING, max_tokens=7))).text == VERDICT
    assert len(talk.bodies) == learning + 1
    assert talk.sent("max_completion_tokens")[-2:] == [100, 7]


@pytest.mark.parametrize("prompt", [TEXT_FORM, JSON_FORM])
async def test_chat_has_two_messages_and_completions_one_text(prompt: ModelInput) -> None:
    async with conversation(lambda _: chat(VERDICT)) as talk:
        await talk.ask(prompt)
    system, user = {"role": "system", "content": prompt.system}, {"role": "user", "content": "Is it?"}
    assert talk.sent("messages") == [[system, user]]
    async with conversation(lambda _: completion(VERDICT), api="completions") as talk:
        await talk.ask(prompt)
    assert talk.sent("prompt") == [f"{prompt.system}\n\nIs it?"]


async def test_an_answer_that_missed_the_schema_is_asked_for_again() -> None:
    missed = Reply(openai("Failed to generate JSON.", "json_validate_failed"), 400)
    replies = [missed, chat(VERDICT)]
    async with conversation(lambda _: replies.pop(0)) as talk:
        with pytest.raises(AttemptFailedError, match="Failed to generate JSON"):
            await talk.ask()
        await talk.ask()
    assert ways(talk) == [Structure.STRICT] * 2


async def test_a_bare_schema_is_sent_or_not() -> None:
    def answer(body: Body) -> Reply:
        return FORMAT_REFUSALS["llama.cpp"] if "json_schema" in body else completion(VERDICT)

    async with conversation(answer, api="completions", dialect="llamacpp") as talk:
        await talk.ask()
    assert [schema is not None for schema in talk.sent("json_schema")] == [True, False]


async def test_a_name_that_contains_a_parameter_is_another_name() -> None:
    refusal = Reply(openai("Seed-OSS does not support the parameter temperature"), 400)
    async with conversation(lambda body: refusal if "temperature" in body else chat(VERDICT), seed=1) as talk:
        await talk.ask()
    assert [seed is not None for seed in talk.sent("seed")] == [True, True]
