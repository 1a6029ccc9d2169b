"""Serves streams of finished tasks over real HTTP, without the rest of the service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import anyio
from aiohttp import web

from service.errors import RunNotFoundError
from service.http_server import serving
from service.web.keys import CALLER, DRAIN, RUNS, STREAM_SLOTS, TOKENS
from service.web.runs import Runs
from service.web.server.access import ANYONE, Caller, Scope, Tokens
from service.web.server.drain import Drain
from service.web.server.middleware import Handler, answer_problems
from service.web.server.stream_slots import StreamSlots
from service.web.streams.feed import TaskRows
from service.web.streams.handler import Times
from service.web.streams.routes import routes
from tests.support.logs import RUN


@dataclass(eq=False)
class LiveRows:
    """The part of a `LiveRun` that streams need."""

    model: TaskRows
    name: str = RUN
    closed: anyio.Event = field(default_factory=anyio.Event)


@dataclass
class OneRun:
    """The only run of a service."""

    live: LiveRows

    async def of(self, name: str) -> LiveRows:
        if name != RUN:
            raise RunNotFoundError(f"run {name!r} does not exist")
        return self.live


@dataclass
class OneToken:
    """The only token of a service, as long as it is valid; none is needed before it `is_asked_for`."""

    is_asked_for: bool = False
    is_valid: bool = True

    @property
    def are_needed(self) -> bool:
        return self.is_asked_for

    def caller_of(self, digest: bytes) -> Caller | None:
        return Caller("rita", Scope.READ, digest) if self.is_valid else None


@dataclass
class Service:
    """A service that runs: its URL, and the parts of it that a test takes hold of."""

    url: str
    live: LiveRows
    drain: Drain
    slots: StreamSlots
    token: OneToken

    @property
    def tasks_url(self) -> str:
        return f"{self.url}/v1/runs/{RUN}/tasks"


@web.middleware
async def admit_anyone(request: web.Request, handler: Handler) -> web.StreamResponse:
    request[CALLER] = ANYONE
    return await handler(request)


@asynccontextmanager
async def served(
    model: TaskRows,
    times: Times | None = None,
    slots: StreamSlots | None = None,
    token: OneToken | None = None,
    port: int = 0,
) -> AsyncIterator[Service]:
    """Serve the tasks of one run; leaving the block ends the streams and the service."""
    live, drain, slots, token = LiveRows(model), Drain(), slots or StreamSlots(1_000, 1_000), token or OneToken()
    app = web.Application(middlewares=(answer_problems, admit_anyone))
    app[RUNS] = cast(Runs, OneRun(live))
    app[DRAIN], app[STREAM_SLOTS] = drain, slots
    app[TOKENS] = cast(Tokens, token)
    app.add_routes(routes(times))

    async def begin_drain(_: web.Application) -> None:
        drain.begin()

    app.on_shutdown.append(begin_drain)
    async with serving(app, port=port, shutdown_timeout_s=5.0, handler_cancellation=True) as address:
        yield Service(f"http://{address}", live, drain, slots, token)
