"""The HTTP server: an OpenAI-compatible stand-in for a language model."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from aiohttp import web

from service.simulator.admin_routes import admin_routes
from service.simulator.batch.routes import batch_routes
from service.simulator.completion_routes import completion_routes
from service.simulator.options import SimulatorOptions
from service.simulator.state import Simulator
from service.simulator.status_routes import report_routes

_LARGEST_BODY_BYTES = 4 * 1024**2
# Thousands of clients may connect at the same moment.
_BACKLOG = 4096
# Requests in progress are aborted soon after the block is left: nobody is there to read the responses.
_SHUTDOWN_TIMEOUT_S = 0.1


def application(simulator: Simulator) -> web.Application:
    """Build the aiohttp application with the routes of all endpoints."""
    app = web.Application(client_max_size=_LARGEST_BODY_BYTES)
    app.add_routes(completion_routes(simulator))
    app.add_routes(report_routes(simulator))
    app.add_routes(admin_routes(simulator))
    app.add_routes(batch_routes(simulator))
    return app


@asynccontextmanager
async def serve(options: SimulatorOptions, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Simulator]:
    """Run a simulator until the block is left; port 0 binds a free port, which `Simulator.url` contains."""
    simulator = Simulator(options)
    runner = web.AppRunner(
        application(simulator), access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_TIMEOUT_S
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=_BACKLOG).start()
        bound_host, bound_port = runner.addresses[0][:2]
        simulator.url = f"http://{f'[{bound_host}]' if ':' in bound_host else bound_host}:{bound_port}/v1"
        yield simulator
    finally:
        with anyio.CancelScope(shield=True):
            await runner.cleanup()
