"""The route of a run's finished tasks: a stream, or a page of them, as the client prefers."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from service.web.api.listings import answer_page
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
    """Return the route of the finished tasks."""
    return [web.get("/v1/runs/{run}/tasks", negotiated(answer_page, times), allow_head=False)]
