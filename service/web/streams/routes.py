"""The route of a run's finished tasks: a stream, or a page of them, as the client prefers."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from service.web.problems import ProblemError
from service.web.streams.handler import TaskStreams, Times, format_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes(times: Times | None = None) -> list[web.RouteDef]:
    """Return the route of the finished tasks."""
    streams = TaskStreams(times or Times())

    async def tasks(request: web.Request) -> web.StreamResponse:
        form = format_of(request)
        if form is None:
            raise ProblemError(HTTPStatus.NOT_ACCEPTABLE, "no pages yet")
        return await streams.stream(request, form)

    return [web.get("/v1/runs/{run}/tasks", tasks, allow_head=False)]
