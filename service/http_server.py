"""An aiohttp application, served while a block runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import Any, cast

import anyio
from aiohttp import web

_BACKLOG = 128


@asynccontextmanager
async def serving(
    app: web.Application,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    backlog: int = _BACKLOG,
    shutdown_timeout_s: float = 60.0,
    tls: SSLContext | None = None,
    **protocol: Any,
) -> AsyncIterator[str]:
    """Serve an application, and yield `HOST:PORT`; port 0 binds a free one.

    Requests in progress at the end have `shutdown_timeout_s` to finish. `protocol` are options of aiohttp's server,
    such as `handler_cancellation`: a handler is cancelled when its client leaves.

    Raises:
        OSError: the address is in use or does not belong to this machine.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=shutdown_timeout_s, **protocol)
    await runner.setup()
    try:
        # An own server instead of a `TCPSite`, which does not show its sockets.
        protocols = cast(web.Server, runner.server)  # set up above
        server = await asyncio.get_running_loop().create_server(protocols, host, port, backlog=backlog, ssl=tls)
        try:
            bound_host, bound_port = server.sockets[0].getsockname()[:2]
            yield f"[{bound_host}]:{bound_port}" if ":" in bound_host else f"{bound_host}:{bound_port}"
        finally:
            with anyio.CancelScope(shield=True):
                await _stop_accepting(server)
    finally:
        with anyio.CancelScope(shield=True):
            await runner.cleanup()


async def _stop_accepting(server: asyncio.Server) -> None:
    """Close a server, after the connections that it has accepted have become its own.

    asyncio attaches an accepted connection to its server one step later. One whose server is closed in between would
    stay open until it is collected as garbage (CPython issue 109564).
    """
    loop = asyncio.get_running_loop()
    for socket in server.sockets:
        loop.remove_reader(socket.fileno())
    await asyncio.sleep(0)
    server.close()
