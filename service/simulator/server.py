"""The HTTP server: an OpenAI-compatible stand-in for a language model."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from service.http_server import serving
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
    async with serving(
        application(simulator),
        host,
        port,
        backlog=_BACKLOG,
        shutdown_timeout_s=_SHUTDOWN_TIMEOUT_S,
        handler_cancellation=True,
    ) as address:
        simulator.url = f"http://{address}/v1"
        yield simulator
