"""Answers other than a completion: errors in OpenAI's shape, and the failures that can be injected."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson
from aiohttp import web

from service.simulator.options import SimulatorOptions


@dataclass(frozen=True, slots=True)
class Failure:
    """A way to fail: the HTTP status that a forcing header names it by, and the answer."""

    status: int
    answer: Callable[[SimulatorOptions], web.Response]


class BadRequestError(Exception):
    """A request that no server would complete; says what was expected."""

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.message = message
        self.status = status

    def answer(self) -> web.Response:
        """Return what the client sees."""
        return error(self.status, "not_found_error" if self.status == 404 else "invalid_request_error", self.message)  # noqa: PLR2004


def json_response(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a body as JSON."""
    return web.Response(body=orjson.dumps(body), status=status, headers=headers, content_type="application/json")


def error(status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an error in OpenAI's shape."""
    return json_response(
        {"error": {"message": message, "type": kind, "param": None, "code": status}}, status=status, headers=headers
    )


def rate_limited(options: SimulatorOptions) -> web.Response:
    """Return a 429 that says when to come back."""
    after = {"Retry-After": f"{options.retry_after_s:g}"}
    return error(429, "rate_limit_error", "Rate limit reached: too many requests. Try again later.", after)


def loading() -> web.Response:
    """Return what a server says while it loads its model."""
    return error(503, "unavailable_error", "Loading model")


def _server_error(_: SimulatorOptions) -> web.Response:
    return error(503, "server_error", "The server is overloaded or not ready yet.")


FAILURES: Mapping[str, Failure] = {
    "rate_limit": Failure(429, rate_limited),
    "server_error": Failure(503, _server_error),
}


def forced(value: str) -> str:
    """Return the name of the failure that the header `X-Return-Error` asks for, by status or by name."""
    for name, failure in FAILURES.items():
        if value in (name, str(failure.status)):
            return name
    known = ", ".join(f"{failure.status} ({name})" for name, failure in FAILURES.items())
    raise BadRequestError(f"X-Return-Error is {value!r}; expected one of {known}")
