"""`/livez` and `/readyz`, for whatever restarts the process or sends requests to it."""

from aiohttp import web

from service.errors import BrokerError
from service.web.keys import DRAIN, RUNS

_UNAVAILABLE = 503


def routes() -> list[web.RouteDef]:
    return [web.get("/livez", livez), web.get("/readyz", readyz)]


async def livez(_: web.Request) -> web.Response:
    """Answer as long as the process answers."""
    return web.Response(text="ok\n")


async def readyz(request: web.Request) -> web.Response:
    """Answer whether requests should come here: the log can be read, and the service does not end."""
    if request.app[DRAIN].has_begun:
        return web.Response(status=_UNAVAILABLE, text="not ready: the service ends\n")
    try:
        await request.app[RUNS].names()
    except BrokerError:
        return web.Response(status=_UNAVAILABLE, text="not ready: the log cannot be reached\n")
    return web.Response(text="ok\n")
