"""Starts the service: beside a run in the same process, or alone."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from ssl import Purpose, SSLContext, create_default_context
from typing import Any

import structlog
from anyio import to_thread

from service.bootstrap.asked_model import AskedModels
from service.errors import ConfigurationError
from service.http_server import serving
from service.messaging.broker import Broker
from service.settings import Settings
from service.web.runs import OwnRun, Runs
from service.web.server.access import Tokens
from service.web.server.application import application
from service.web.server.sites import check_exposure, is_loopback
from service.web.webhooks.configuration import read_webhooks
from service.web.webhooks.senders import delivering

_FINISHES_WITHIN_S = 10.0
# A handler ends when its client leaves; names and values of headers are short, and bodies are not compressed.
_PROTOCOL: dict[str, Any] = {
    "handler_cancellation": True,
    "max_line_size": 8_190,
    "max_field_size": 8_190,
    "max_headers": 64,
    "auto_decompress": False,
    "keepalive_timeout": 75.0,
}

log = structlog.get_logger()


@asynccontextmanager
async def serving_runs(settings: Settings, own: Mapping[str, OwnRun]) -> AsyncIterator[str]:
    """Serve the runs of a log inside the block, and yield the URL of the page.

    At the end, streams end, and requests have some seconds to finish.

    Raises:
        ConfigurationError: the address is in use, does not belong to this machine, or may not be served without tokens.
        BrokerError: the log cannot be reached.
    """
    check_exposure(settings)
    webhooks = [] if settings.web_webhooks is None else await to_thread.run_sync(read_webhooks, settings.web_webhooks)
    async with (
        Tokens.of(settings.web_tokens) as tokens,
        Runs.open(settings, own) as runs,
        delivering(webhooks, runs.writer) as senders,
        AsyncExitStack() as stack,
    ):
        tls = await to_thread.run_sync(_tls_of, settings)
        if tokens.are_needed and tls is None and not is_loopback(settings.web_host):
            log.warning("web.tokens_in_the_clear", hint="serve HTTPS (web_certificate_file), here or at a proxy")
        server = serving(
            application(settings, runs, tokens, senders),
            settings.web_host,
            settings.web_port,
            shutdown_timeout_s=min(settings.drain_s, _FINISHES_WITHIN_S),
            tls=tls,
            **_PROTOCOL,
        )
        try:
            address = await stack.enter_async_context(server)
        except OSError as error:
            raise ConfigurationError(
                f"--web-port: cannot listen on {settings.web_host}:{settings.web_port}: {error.strerror}; give another "
                "port, or 0 for a free one"
            ) from error
        yield f"{'http' if tls is None else 'https'}://{address}/"


def _tls_of(settings: Settings) -> SSLContext | None:
    certificate = settings.web_certificate_file
    if certificate is None:
        return None
    tls = create_default_context(Purpose.CLIENT_AUTH)  # TLS 1.2 at least
    try:
        tls.load_cert_chain(certificate, settings.web_key_file)
    except OSError as error:  # an `SSLError` too
        raise ConfigurationError(
            f"web_certificate_file {certificate}, web_key_file {settings.web_key_file}: expected a certificate and its "
            f"private key, PEM: {error}"
        ) from error
    return tls


@asynccontextmanager
async def serving_own_run(settings: Settings, broker: Broker, models: AskedModels) -> AsyncIterator[str]:
    """Serve as `serving_runs` does, with a run that this process works on."""
    async with serving_runs(settings, {settings.run: OwnRun(broker, models)}) as url:
        yield url
