"""An operation of the REST API: its handler, and the facts that the OpenAPI document says of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation of the REST API.

    `handler` returns the answer, which is sent as JSON with `status`; it has one of the
    types in `answer`, if that is a tuple.

    `body` are the structs that its body may be, `query` has the parameters of its query. `problems` are the statuses
    of its errors besides those that every operation has. `media` is the type of an answer that is no JSON; its handler
    returns the response. `streams` are the types of answers that clients may prefer to JSON.
    """

    method: str
    path: str
    name: str
    summary: str
    handler: Callable[[web.Request], Awaitable[Any]]
    answer: Any
    status: HTTPStatus = HTTPStatus.OK
    body: tuple[type[Struct], ...] = ()
    query: type[Struct] | None = None
    problems: tuple[HTTPStatus, ...] = ()
    media: str = JSON
    streams: tuple[str, ...] = ()

    @property
    def answers(self) -> tuple[Any, ...]:
        """The types that the answer may have."""
        return self.answer if isinstance(self.answer, tuple) else (self.answer,)

    def route(self) -> web.RouteDef:
        """Return the route of the operation."""
        if self.method == "GET":
            return web.get(self.path, self._handle, allow_head=self.media == JSON)
        return web.route(self.method, self.path, self._handle)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        answer = await self.handler(request)
        if isinstance(answer, web.StreamResponse):
            return answer
        return web.Response(status=self.status, body=msgspec.json.encode(answer), content_type=JSON)
