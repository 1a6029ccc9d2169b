"""Starts the service: beside a run in the same process, or alone."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from service.bootstrap.asked_model import AskedModels
from service.errors import ConfigurationError
from service.http_server import serving
from service.messaging.broker import Broker
from service.settings import Settings
from service.web.runs import OwnRun, Runs
from service.web.server.application import application

_FINISHES_WITHIN_S = 10.0


@asynccontextmanager
async def serving_runs(settings: Settings, own: Mapping[str, OwnRun]) -> AsyncIterator[str]:
    """Serve the runs of a log inside the block, and yield the URL of the page.

    At the end, streams end, and requests have some seconds to finish.

    Raises:
        ConfigurationError: the address is in use, does not belong to this machine, or may not be served without tokens.
        BrokerError: the log cannot be reached.
    """
    async with Runs.open(settings, own) as runs, AsyncExitStack() as stack:
        server = serving(
            application(settings, runs),
            settings.web_host,
            settings.web_port,
            shutdown_timeout_s=min(settings.drain_s, _FINISHES_WITHIN_S),
            handler_cancellation=True,
        )
        try:
            address = await stack.enter_async_context(server)
        except OSError as error:
            raise ConfigurationError(
                f"--web-port: cannot listen on {settings.web_host}:{settings.web_port}: {error.strerror}"
            ) from error
        yield f"http://{address}/"


@asynccontextmanager
async def serving_own_run(settings: Settings, broker: Broker, models: AskedModels) -> AsyncIterator[str]:
    """Serve as `serving_runs` does, with a run that this process works on."""
    async with serving_runs(settings, {settings.run: OwnRun(broker, models)}) as url:
        yield url
