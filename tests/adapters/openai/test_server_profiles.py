"""The requests for each kind of server, and the lessons from a refused parameter."""

from dataclasses import replace
from typing import Any

import anyio
import orjson
import pytest
from structlog.testing import capture_logs

from service.adapters.openai import Dialect, OpenAIOptions
from service.adapters.openai.request import request_body
from service.adapters.openai.server_profiles import PROFILES
from service.lm.errors import AttemptFailedError, CallFailedError, Failing
from service.lm.port import Completion, FinishReason
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import ALPACA
from tests.adapters.conftest import SAMPLING, Against
from tests.adapters.scripted_server import Reply, chat, completion

pytestmark = pytest.mark.anyio

RENAMED = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
NO_STOP = "Unsupported parameter: 'stop' is not supported with this model."
OPTIONS = OpenAIOptions("http://h", "m")
STOPS = ("1.", "2.", "3.", "4.", "5.", "6.")


def unsupported(message: str, param: str | None = None, status: int = 400) -> Reply:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": "unsupported_parameter"}
    return Reply({"error": error}, status)


def body_of(dialect: Dialect, **options: Any) -> dict[str, Any]:
    asked = OpenAIOptions("http://host", "m", dialect=dialect, end_of_text_token=0, seed=1, **options)
    sampling = replace(SAMPLING, stop=STOPS, ban_end_of_text=True, frequency_penalty=0.5, top_p=1.0)
    body: dict[str, Any] = orjson.loads(request_body(asked, PROFILES[dialect], ModelInput("p"), sampling))
    return body


def test_every_dialect_has_a_profile() -> None:
    assert set(PROFILES) == set(Dialect)


@pytest.mark.parametrize(
    ("dialect", "length", "stops", "missing"),
    [
        (Dialect.OPENAI, "max_completion_tokens", 4, set()),
        (Dialect.AZURE, "max_tokens", 4, set()),
        (Dialect.VLLM, "max_tokens", 6, set()),
        (Dialect.SGLANG, "max_tokens", 6, set()),
        (Dialect.LLAMACPP, "max_tokens", 6, set()),
        (Dialect.OLLAMA, "max_tokens", 6, {"logit_bias"}),
        (Dialect.TGI, "max_tokens", 4, {"logit_bias", "presence_penalty", "top_p"}),
        (Dialect.OPENROUTER, "max_tokens", 4, set()),
        (Dialect.LITELLM, "max_tokens", 4, set()),
        (Dialect.GENERIC, "max_tokens", 4, set()),
    ],
)
def test_each_dialect_has_its_own_requests(dialect: Dialect, length: str, stops: int, missing: set[str]) -> None:
    body = body_of(dialect)
    assert body[length] == 100
    assert len(body["stop"]) == stops
    wanted = {"temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "seed"}
    assert wanted - set(body) == missing
    assert "n" not in body
    assert "max_completion_tokens" not in body_of(dialect, api="completions")


def test_a_top_p_below_one_is_sent_to_tgi() -> None:
    body = orjson.loads(request_body(OpenAIOptions("http://h", "m"), PROFILES[Dialect.TGI], ModelInput("p"), SAMPLING))
    assert body["top_p"] == 0.5


async def test_the_other_name_of_the_length_limit_is_learnt_once(against: Against) -> None:
    with capture_logs() as logs:
        async with against(unsupported(RENAMED, "max_tokens"), chat(), chat(), api="chat") as client:
            await client.attempt()
            await client.attempt()
            assert client.endpoint.describe().length_name == "max_completion_tokens"
    lengths = [{name for name in request.body if name.startswith("max_")} for request in client.requests]
    assert lengths == [{"max_tokens"}, {"max_completion_tokens"}, {"max_completion_tokens"}]
    assert [entry["event"] for entry in logs] == ["lm.adapted"]
    assert (logs[0]["length_name"], logs[0]["log_level"]) == ("max_completion_tokens", "warning")


@pytest.mark.parametrize(
    ("api", "dialect", "message"),
    [
        ("completions", "auto", RENAMED),  # there is one name only
        ("chat", "ollama", RENAMED),  # Ollama would ignore the other name, and write without end
        ("chat", "auto", "max_tokens is too large: 5000. This model supports at most 4096 completion tokens."),
    ],
)
async def test_the_name_is_not_changed_if_that_would_not_help(
    against: Against, api: str, dialect: str, message: str
) -> None:
    async with against(unsupported(message), api=api, dialect=dialect) as client:
        with pytest.raises(CallFailedError):
            await client.attempt()
    assert len(client.requests) == 1


async def test_a_name_that_was_changed_is_not_changed_back(against: Against) -> None:
    other = "Unrecognized request argument supplied: max_completion_tokens"
    async with against(unsupported(RENAMED), unsupported(other), api="chat") as client:
        with pytest.raises(CallFailedError, match="Unrecognized"):
            await client.attempt()
    assert len(client.requests) == 2


@pytest.mark.parametrize(
    "reply",
    [
        unsupported(NO_STOP, "stop"),
        unsupported(f"litellm.BadRequestError: OpenAIException - {NO_STOP}"),
        unsupported("Argument not supported on this model: stop"),
        Reply(
            {"error": "Model x does not support parameter stop.", "code": "Client specified an invalid argument"}, 400
        ),
        Reply({"detail": [{"type": "extra_forbidden", "loc": ["body", "stop"], "msg": "not permitted"}]}, 422),
    ],
)
async def test_answers_of_a_server_without_stops_are_cut_by_the_client(against: Against, reply: Reply) -> None:
    async with against(reply, completion("keep\n\ndrop"), completion("keep\n\ndrop")) as client:
        assert (await client.attempt()).text == "keep"
        assert (await client.attempt()).text == "keep"
        assert client.endpoint.describe().stops == 0
    assert ["stop" in request.body for request in client.requests] == [True, False, False]


async def test_a_server_with_few_stops_gets_fewer(against: Against) -> None:
    few = Reply({"error": "Input validation error: `stop` supports up to 4 stop sequences. Given: 6"}, 422)
    async with against(few, completion(), dialect="vllm") as client:
        await client.attempt(replace(SAMPLING, stop=STOPS))
    assert [len(request.body["stop"]) for request in client.requests] == [6, 4]


async def test_length_name_and_stops_are_learnt_in_one_call(against: Against) -> None:
    async with against(unsupported(RENAMED), unsupported(NO_STOP, "stop"), chat(), api="chat") as client:
        assert (await client.attempt()).text == "a text"


async def test_a_server_that_keeps_refusing_fails_the_call(against: Against) -> None:
    steps = [unsupported(RENAMED), *[unsupported(NO_STOP, "stop")] * 3]
    async with against(*steps, api="chat", dialect="vllm") as client:
        with pytest.raises(CallFailedError, match="stop"):
            await client.attempt(replace(SAMPLING, stop=STOPS))
    assert len(client.requests) == 4


async def test_calls_side_by_side_learn_together(against: Against) -> None:
    steps = [*[unsupported(NO_STOP, "stop")] * 3, *[completion()] * 3]
    answers: list[Completion] = []
    with capture_logs() as logs:
        async with against(*steps) as client, anyio.create_task_group() as calls:

            async def call() -> None:
                answers.append(await client.attempt())

            for _ in range(3):
                calls.start_soon(call)
    assert len(answers) == 3
    assert [entry["event"] for entry in logs] == ["lm.adapted"]


@pytest.mark.parametrize(
    ("reply", "names"),
    [
        (
            unsupported("Unsupported value: 'temperature' does not support 0.7 with this model.", "temperature"),
            '"temperature"',
        ),
        (unsupported("Model grok does not support parameter presencePenalty."), '"presence_penalty"'),
        (
            unsupported(
                "litellm.UnsupportedParamsError: openai does not support parameters: ['presence_penalty', 'top_p']"
            ),
            '"top_p", "presence_penalty"',
        ),
        (
            Reply([{"error": {"code": 400, "message": 'Unknown name "logit_bias": Cannot find field.'}}], 400),
            '"logit_bias"',
        ),
        (Reply({"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "x"}]}, 422), '"seed"'),
        (Reply({"error": "Input validation error: `top_p` must be > 0.0 and < 1.0"}, 422), '"top_p"'),
    ],
)
async def test_only_the_user_can_omit_a_refused_sampling_parameter(against: Against, reply: Reply, names: str) -> None:
    async with against(reply) as client:
        with pytest.raises(CallFailedError) as failed:
            await client.attempt()
    assert f"set lm_omit = [{names}]" in str(failed.value)
    assert failed.value.failing is Failing.BAD_REQUEST
    assert len(client.requests) == 1


async def test_no_stops_are_sent_after_one_ended_the_thinking(against: Against) -> None:
    cut = chat("<think>Okay, first", "stop")
    async with against(cut, chat("<think>Okay\n\nwell</think>9. a task\n\nmore"), api="chat") as client:
        with pytest.raises(AttemptFailedError, match="a stop string ended it before an answer began") as failed:
            await client.attempt()
        second = await client.attempt()
    assert failed.value.failing is Failing.THINKING
    assert (second.text, second.finish_reason) == ("9. a task", FinishReason.STOP)
    assert ["stop" in request.body for request in client.requests] == [True, False]


def test_alpaca_s_sampling_is_accepted_by_tgi() -> None:
    body = orjson.loads(
        request_body(
            OpenAIOptions("http://h", "m"), PROFILES[Dialect.TGI], ModelInput("p"), ALPACA.instruction_sampling
        )
    )
    assert "top_p" not in body
