"""Errors of the HTTP interface, as `application/problem+json` (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from aiohttp import web
from msgspec import Struct

from service.errors import (
    BrokerError,
    ConfigurationError,
    DamagedLogError,
    FencedError,
    NotAuthorizedError,
    OutcomeUnknownError,
    RunLockedError,
    RunMismatchError,
    RunNotFoundError,
    SeedIdTakenError,
    SeedstreamError,
    TopicMissingError,
)

CONTENT_TYPE = "application/problem+json"
# The first that fits an error holds.
_STATUS: tuple[tuple[type[SeedstreamError], HTTPStatus], ...] = (
    (RunNotFoundError, HTTPStatus.NOT_FOUND),
    (RunMismatchError, HTTPStatus.CONFLICT),
    (RunLockedError, HTTPStatus.CONFLICT),
    (SeedIdTakenError, HTTPStatus.CONFLICT),
    (FencedError, HTTPStatus.CONFLICT),
    (ConfigurationError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (TopicMissingError, HTTPStatus.NOT_FOUND),
    (DamagedLogError, HTTPStatus.INTERNAL_SERVER_ERROR),
    (NotAuthorizedError, HTTPStatus.INTERNAL_SERVER_ERROR),
    (OutcomeUnknownError, HTTPStatus.SERVICE_UNAVAILABLE),
    (BrokerError, HTTPStatus.SERVICE_UNAVAILABLE),
)


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of an error. `detail` names what was expected and what came; `command` is a command line that mends it."""

    type: str
    title: str
    status: int
    detail: str
    command: str | None = None


class ProblemError(Exception):
    """A request that cannot be answered as asked."""

    def __init__(
        self, status: HTTPStatus, detail: str, *, command: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.command = command
        self.headers = headers


def problem_of(error: SeedstreamError) -> ProblemError:
    """Return the problem that an error of Seedstream is to a client."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = {"Retry-After": "5"} if status is HTTPStatus.SERVICE_UNAVAILABLE else None
    return ProblemError(status, str(error), headers=headers)


def document_of(problem: ProblemError) -> bytes:
    """Return the JSON of a problem, one line."""
    return msgspec.json.encode(
        Problem(
            type="about:blank",
            title=problem.status.phrase,
            status=problem.status,
            detail=problem.detail,
            command=problem.command,
        )
    )


def respond(problem: ProblemError) -> web.Response:
    """Return the response of a problem."""
    return web.Response(
        status=problem.status,
        body=document_of(problem),
        headers={"Content-Type": CONTENT_TYPE, **(problem.headers or {})},
    )
