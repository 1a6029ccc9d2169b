"""Error responses with the status codes and bodies of real servers; they are never charged."""

from collections.abc import Mapping

import orjson
from aiohttp import web
from msgspec import Struct

from service.simulator.options import SimulatorOptions
from service.simulator.retry_after import retry_after


class Refusal(Struct, frozen=True):
    """An error in OpenAI's format, or in plain text if `plain`.

    `waits`: the response asks the client to wait, in the header of `retry_after_form`. `code` defaults to the HTTP
    status, as in vLLM.
    """

    status: int
    kind: str
    message: str
    code: str | int | None = None
    waits: bool = False
    plain: bool = False


class RefusedError(Exception):
    """A request is refused; `after_s` is the wait in seconds before a retry, None for the configured default."""

    def __init__(self, refusal: Refusal, after_s: float | None = None):
        super().__init__(refusal.message)
        self.refusal = refusal
        self.after_s = after_s

    def answer(self, options: SimulatorOptions) -> web.Response:
        """Return the HTTP response for the refusal, with a header for the wait if the refusal asks for one."""
        refusal = self.refusal
        headers: Mapping[str, str] = {}
        if refusal.waits:
            after_s = options.retry_after_s if self.after_s is None else self.after_s
            headers = retry_after(options.retry_after_form, after_s)
        if refusal.plain:
            return web.Response(text=refusal.message, status=refusal.status, headers=headers)
        return json_response({"error": _details(refusal)}, refusal.status, headers)


class BadRequestError(RefusedError):
    """A request is invalid (400); the message says what was expected."""

    def __init__(self, message: str):
        super().__init__(Refusal(400, "invalid_request_error", message))


def json_response(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Serialise a body with orjson and return it as a JSON response."""
    return web.Response(body=orjson.dumps(body), status=status, headers=headers, content_type="application/json")


LOADING = Refusal(503, "unavailable_error", "Loading model")
OVERLOADED = Refusal(
    429, "rate_limit_error", "Rate limit reached: too many requests at once. Try again later.", waits=True
)
WRONG_KEY = Refusal(
    401,
    "invalid_request_error",
    "Incorrect API key provided. Send one that this server knows as `Authorization: Bearer KEY`.",
    "invalid_api_key",
)


def unknown_model(wanted: str, served: str) -> Refusal:
    """Return the refusal (404) of a model name that the server does not serve."""
    return Refusal(404, "not_found_error", f"The model {wanted!r} does not exist; there is {served!r}")


def too_long(most: int, prompt: int, wanted: int) -> Refusal:
    """Return the refusal (400) of a prompt and completion that exceed the context length; all numbers are tokens."""
    message = (
        f"This model's maximum context length is {most} tokens. However, you requested {prompt + wanted} tokens "
        f"({prompt} in the prompt, {wanted} for the completion). Shorten the prompt or the completion."
    )
    return Refusal(400, "invalid_request_error", message, "context_length_exceeded")


def beyond(limit: str, most: int) -> Refusal:
    """Return the refusal (429) of a request whose key has reached one of its limits."""
    message = f"Rate limit reached for {limit}: this key may have {most}. Try again later."
    return Refusal(429, "rate_limit_error", message, "rate_limit_exceeded", waits=True)


def _details(refusal: Refusal) -> dict[str, object]:
    code = refusal.status if refusal.code is None else refusal.code
    return {"message": refusal.message, "type": refusal.kind, "param": None, "code": code}
