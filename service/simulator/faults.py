"""The failures that can be injected, under the names of llm-d-inference-sim where it has an equivalent.

| name | status | charged | told | the client gets |
|---|---|---|---|---|
| `rate_limit` | 429 | no | - | Retry-After in the chosen form |
| `invalid_api_key` | 401 | no | - | an error |
| `invalid_request` | 400 | no | - | an error |
| `context_length` | 400 | no | - | an error that names the maximum context length |
| `server_error` | 503 | no | - | an error: overloaded |
| `model_not_found` | 404 | no | - | an error |
| `quota` | 429 | no | - | an error with the code `insufficient_quota`, without Retry-After |
| `payment` | 402 | no | - | an error: no credit left |
| `internal_error` | 500 | no | - | plain text |
| `timeout` | none | no | - | no response until the connection is closed |
| `disconnect` | none | no | - | a closed connection |
| `length` | 200 | yes | yes | the first half of a good completion, finish_reason `length` |
| `no_usage` | 200 | yes | no | a good completion without usage |
| `abort` | 200 | yes | yes | finish_reason `abort` |
| `null_content` | 200 | yes | yes | no text, finish_reason `stop` |
| `reasoning_only` | 200 | yes | yes | no text, finish_reason `length`, all tokens spent on reasoning |
| `empty_choices` | 200 | yes | yes | an empty list of choices |
| `error_in_200` | 200 | yes | yes | an error beside the usage, and no choices |
| `malformed` | 200 | yes | no | half a JSON document |
| `cut` | 200 | yes | no | half of the announced body; then the connection is closed |

`told`: the response reports its usage. A failure that is not charged takes no place and no latency. A charged one is a
completion with its place, its latency and its tokens. In the journal a closed connection has status 444, or 499 if the
client left first.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from msgspec import Struct

from service.simulator.error_responses import WRONG_KEY, BadRequestError, Refusal, too_long
from service.simulator.text.generator import first_tokens
from service.simulator.wire_formats import Answer

Document = dict[str, Any]


class Silence(Struct, frozen=True):
    """No answer: the connection is closed, at once or after `timeout_duration_s`."""

    at_once: bool


@dataclass(frozen=True, slots=True)
class Spoiled:
    """A completion that is generated, charged and then spoiled: its answer, its JSON document or its transmission.

    `told`: the response reports its usage. `broken`: the second half of the body is missing. `cut`: Content-Length
    announces the whole body all the same, and the connection is closed after the first half.
    """

    answer: Callable[[Answer], Answer] = lambda answer: answer
    document: Callable[[Document], Document] = lambda document: document
    told: bool = True
    broken: bool = False
    cut: bool = False


Failure = Refusal | Silence | Spoiled


def _half(answer: Answer) -> Answer:
    tokens = max(1, answer.tokens // 2)
    return replace(answer, text=first_tokens(answer.text or "", tokens), tokens=tokens, finish_reason="length")


def _thought(answer: Answer) -> Answer:
    return replace(answer, text=None, finish_reason="length", reasoning=answer.text)


def _error_inside(document: Document) -> Document:
    details = {"message": "The provider returned an error", "code": 502}
    return {name: value for name, value in document.items() if name != "choices"} | {"error": details}


def _without_usage(document: Document) -> Document:
    return {name: value for name, value in document.items() if name != "usage"}


# A status in `X-Return-Error` selects the first failure with that status.
FAILURES: dict[str, Failure] = {
    "rate_limit": Refusal(
        429, "rate_limit_error", "Rate limit reached: too many requests. Try again later.", waits=True
    ),
    "invalid_api_key": WRONG_KEY,
    "invalid_request": Refusal(400, "invalid_request_error", "The request has a value that is not supported."),
    "context_length": too_long(4096, 4000, 1024),
    "server_error": Refusal(503, "server_error", "The server is overloaded or not ready yet."),
    "model_not_found": Refusal(404, "not_found_error", "The model does not exist.", "model_not_found"),
    "quota": Refusal(
        429, "insufficient_quota", "You exceeded your current quota: check your plan.", "insufficient_quota"
    ),
    "payment": Refusal(402, "payment_required", "Insufficient credits. Add more to go on."),
    "internal_error": Refusal(500, "internal_error", "Internal Server Error", plain=True),
    "timeout": Silence(at_once=False),
    "disconnect": Silence(at_once=True),
    "length": Spoiled(answer=_half),
    "no_usage": Spoiled(document=_without_usage, told=False),
    "abort": Spoiled(answer=lambda answer: replace(answer, finish_reason="abort")),
    "null_content": Spoiled(answer=lambda answer: replace(answer, text=None, finish_reason="stop")),
    "reasoning_only": Spoiled(answer=_thought),
    "empty_choices": Spoiled(document=lambda document: document | {"choices": []}),
    "error_in_200": Spoiled(document=_error_inside),
    "malformed": Spoiled(told=False, broken=True),
    "cut": Spoiled(told=False, broken=True, cut=True),
}
UNSPOILED = Spoiled()

_BY_STATUS = {str(failure.status): name for name, failure in reversed(FAILURES.items()) if isinstance(failure, Refusal)}


def forced(value: str) -> str:
    """Return the name of the failure that the header `X-Return-Error` selects, by status or by name.

    Raises:
        BadRequestError: no failure has this status or name.
    """
    name = _BY_STATUS.get(value, value)
    if name in FAILURES:
        return name
    statuses = ", ".join(f"{status} ({name})" for status, name in sorted(_BY_STATUS.items()))
    others = ", ".join(sorted(FAILURES.keys() - _BY_STATUS.values()))
    raise BadRequestError(f"X-Return-Error is {value!r}; expected one of {statuses}, {others}")
