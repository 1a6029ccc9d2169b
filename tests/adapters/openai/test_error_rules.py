"""The error table, row by row, on the error messages of real servers."""

import pytest

from service.adapters.openai.error_body import ErrorBody
from service.adapters.openai.error_response import Refusal
from service.adapters.openai.error_rules import ROWS, Then
from service.lm.errors import (
    AttemptFailedError,
    CallFailedError,
    EndpointRefusedError,
    Failing,
    LanguageModelError,
    Refused,
)
from tests.adapters.openai.refusals import error_of, openai


@pytest.mark.parametrize(
    ("status", "body", "failing"),
    [
        # TGI, Moonshot, OpenAI
        (429, {"error": "Model is overloaded", "error_type": "overloaded"}, Failing.OVERLOADED),
        (429, openai("The engine is busy", "engine_overloaded_error", "engine_overloaded_error"), Failing.OVERLOADED),
        (429, openai("That model is currently overloaded with other requests."), Failing.OVERLOADED),
        # Ollama, vLLM, Anthropic
        (503, {"error": "server busy, please try again.  maximum pending requests exceeded"}, Failing.OVERLOADED),
        (503, openai("The request queue is full.", 503, "ServiceUnavailableError"), Failing.OVERLOADED),
        (503, b"", Failing.OVERLOADED),
        (529, openai("Overloaded", None, "overloaded_error"), Failing.OVERLOADED),
        # llama.cpp, Envoy
        (503, openai("Loading model", 503, "unavailable_error"), Failing.SERVER_ERROR),
        (503, b"no healthy upstream", Failing.SERVER_ERROR),
        (408, b"", Failing.TIMEOUT),
        (504, b"<html>Gateway Time-out</html>", Failing.TIMEOUT),
        (524, b"error code: 524", Failing.TIMEOUT),
        (409, openai("The request conflicted"), Failing.SERVER_ERROR),
        (424, {"error": "Request failed during generation", "error_type": "generation"}, Failing.SERVER_ERROR),
        (425, b"", Failing.SERVER_ERROR),
        (500, openai("EngineCore encountered an issue.", 500, "InternalServerError"), Failing.SERVER_ERROR),
        (502, b"<html>Bad Gateway</html>", Failing.SERVER_ERROR),
        (520, b"", Failing.SERVER_ERROR),
        (204, b"", Failing.INVALID_BODY),
    ],
)
def test_transient_errors_are_classified_by_their_cause(status: int, body: object, failing: Failing) -> None:
    error = error_of(status, body)
    assert isinstance(error, AttemptFailedError)
    assert error.failing is failing


@pytest.mark.parametrize(
    ("status", "body", "refused", "remedy"),
    [
        (401, openai("Incorrect API key provided: sk-***.", "invalid_api_key"), Refused.CREDENTIALS, "API key"),
        (401, {"error": "Unauthorized"}, Refused.CREDENTIALS, "API key"),
        (
            401,
            {"error": {"code": "401", "message": "Access denied due to invalid subscription key"}},
            Refused.CREDENTIALS,
            "API key",
        ),
        (
            403,
            openai("Country not supported", "unsupported_country_region_territory"),
            Refused.CREDENTIALS,
            "from here",
        ),
        (403, b"<html>Forbidden</html>", Refused.CREDENTIALS, "from here"),
        (
            400,
            [
                {
                    "error": {
                        "code": 400,
                        "message": "API key not valid. Please pass a valid API key.",
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ],
            Refused.CREDENTIALS,
            "API key",
        ),
        (404, openai("The model `x` does not exist.", 404, "NotFoundError"), Refused.ADDRESS, "name of the model"),
        (
            404,
            openai("model 'x' not found, try pulling it first", None, "api_error"),
            Refused.ADDRESS,
            "name of the model",
        ),
        (404, openai("No such thing", "model_not_found"), Refused.ADDRESS, "name of the model"),
        (
            404,
            {
                "error": {
                    "code": "DeploymentNotFound",
                    "message": "The API deployment for this resource does not exist.",
                }
            },
            Refused.ADDRESS,
            "name of the model",
        ),
        (404, {"detail": "Not Found"}, Refused.ADDRESS, "base URL"),
        (404, b"404 page not found", Refused.ADDRESS, "base URL"),
        (405, {"detail": "Method Not Allowed"}, Refused.ADDRESS, "base URL"),
        (
            400,
            openai("/chat/completions: Invalid model name passed in model=x. Call `/v1/models` to view", "400"),
            Refused.ADDRESS,
            "name of the model",
        ),
        (400, {"error": {"message": "x/y is not a valid model ID", "code": 400}}, Refused.ADDRESS, "name of the model"),
        (
            501,
            openai("This server does not support completions.", 501, "not_supported_error"),
            Refused.ADDRESS,
            "lm_api",
        ),
        (301, b"", Refused.ADDRESS, "Redirects"),
        (308, b"", Refused.ADDRESS, "Redirects"),
    ],
)
def test_an_error_of_every_call_stops_all_and_says_what_to_do(
    status: int, body: object, refused: Refused, remedy: str
) -> None:
    error = error_of(status, body)
    assert isinstance(error, EndpointRefusedError)
    assert error.refused is refused
    assert remedy in str(error)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, openai("messages: at least one message is required")),
        (406, b""),
        (413, b"<html>Request Entity Too Large</html>"),
        (
            413,
            openai(
                "Request too large for model `x` on tokens per minute (TPM): Limit 6000",
                "rate_limit_exceeded",
                "tokens",
            ),
        ),
        (422, {"detail": [{"type": "missing", "loc": ["body", "prompt"], "msg": "Field required"}]}),
        (
            429,
            openai(
                "Request too large for gpt-4o on tokens per min (TPM): Limit 10000, Requested 12000. The input or "
                "output tokens must be reduced in order to run successfully.",
                "rate_limit_exceeded",
                "tokens",
            ),
        ),
    ],
)
def test_an_error_of_one_call_fails_that_call_for_good(status: int, body: object) -> None:
    error = error_of(status, body)
    assert isinstance(error, CallFailedError)
    assert error.failing is Failing.BAD_REQUEST


@pytest.mark.parametrize(
    "quoted",
    [
        "Write about insufficient credits and a billing hard limit",
        "The model does not exist; model_not_found",
        "API key not valid",
        "Invalid model name passed in model=x",
        "Budget has been exceeded",
    ],
)
def test_a_prompt_that_a_server_quotes_cannot_stop_everything(quoted: str) -> None:
    body = {"detail": [{"type": "string_type", "loc": ["body", "prompt"], "msg": "must be a list", "input": quoted}]}
    assert isinstance(error_of(422, body), CallFailedError)
    long = "The request is malformed at line 1, column 2, since it was expected to be another one: " + quoted
    assert isinstance(error_of(400, openai(long)), CallFailedError)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, openai("odd"), AttemptFailedError),
        (429, openai("You exceeded your current quota", "insufficient_quota"), AttemptFailedError),
        (500, openai("Context size has been exceeded."), AttemptFailedError),
        (503, b"", AttemptFailedError),
    ],
)
def test_an_explicit_request_to_retry_takes_precedence(status: int, body: object, kind: type[Exception]) -> None:
    assert isinstance(error_of(status, body, {"x-should-retry": "true"}), kind)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (408, CallFailedError),
        (500, CallFailedError),
        (503, CallFailedError),
        (400, CallFailedError),
        (401, EndpointRefusedError),
        (429, EndpointRefusedError),  # failing calls one by one would lose all of them
    ],
)
def test_an_explicit_request_not_to_retry_takes_precedence(status: int, kind: type[Exception]) -> None:
    assert isinstance(error_of(status, b"", {"x-should-retry": "False"}), kind)


def test_every_status_has_a_row() -> None:
    for status in range(100, 1000):
        for should_retry in (None, True, False):
            refusal = Refusal("http://host", status, ErrorBody(""), "", should_retry=should_retry)
            assert isinstance(refusal.as_error(), LanguageModelError)


def test_exactly_the_rows_that_stop_have_a_reason_to_stop() -> None:
    assert all(isinstance(row.why, Refused) is (row.then is Then.STOP) for row in ROWS)
    assert all(row.remedy for row in ROWS if row.then is not Then.RETRY)
