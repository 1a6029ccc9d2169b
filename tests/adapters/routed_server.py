"""A server with one answer for each path, and 404 for other paths."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import orjson
from aiohttp import web

from service.http_server import serving
from tests.adapters.scripted_server import Reply


@asynccontextmanager
async def routed_server(routes: Mapping[str, Reply]) -> AsyncIterator[str]:
    """Serve on a free port of the loopback interface. Yields the address."""

    async def handle(request: web.Request) -> web.Response:
        reply = routes.get(request.path, Reply({"detail": "Not Found"}, 404))
        content = reply.body if isinstance(reply.body, bytes) else orjson.dumps(reply.body)
        return web.Response(body=content, status=reply.status, headers=reply.headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with serving(app, shutdown_timeout_s=0.1) as address:
        yield f"http://{address}"
