"""The route of a run's finished tasks: a stream, or a page of them, as the client prefers."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from service.web.problems import ProblemError
from service.web.streams.handler import TaskStreams, Times, format_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def negotiated(page: Handler, times: Times | None = None) -> Handler:
    """Return a handler that answers with a stream of finished tasks, or with `page` to a client that prefers JSON."""
    streams = TaskStreams(times or Times())

    async def tasks(request: web.Request) -> web.StreamResponse:
        form = format_of(request)
        return await (page(request) if form is None else streams.stream(request, form))

    return tasks


def routes(times: Times | None = None) -> list[web.RouteDef]:
    """Return the route of the finished tasks, as long as there are no pages of them."""
    return [web.get("/v1/runs/{run}/tasks", negotiated(_no_page, times), allow_head=False)]


async def _no_page(_: web.Request) -> web.StreamResponse:
    raise ProblemError(HTTPStatus.NOT_ACCEPTABLE, "Accept: expected text/event-stream or application/x-ndjson")
