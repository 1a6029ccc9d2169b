"""`seedstream web`: the page, the streams and the REST API of the runs of one log."""

from signal import SIGINT, SIGTERM
from typing import Annotated

import anyio
import typer

from service.cli import options
from service.cli.options import Page
from service.cli.page import tell_of_page
from service.settings import Settings


@options.expand_groups
def web(
    *,
    web: options.WebOptions,
    broker: Annotated[
        str | None,
        typer.Option("--broker", help="Location of the logs: sqlite:DIR or kafka://HOST:PORT,….", metavar="LOG"),
    ] = None,
    open_page: options.OpenPage = False,
    log_level: options.LogLevel = None,
) -> None:
    """Serve page, streams and REST API of all runs of a log, until a signal stops it.

    On the embedded log, a run that another process works on can be read and not steered; `seedstream run --web` serves
    the run that it works on.

    Exit codes: 0 stopped by Ctrl-C or SIGTERM; 1 the log cannot be used; 2 a setting is wrong or the port in use.
    """
    settings = options.settings_from(web, broker=broker, log_level=log_level)
    anyio.run(_serve, settings, Page.OPENED if open_page else Page.SERVED)


async def _serve(settings: Settings, page: Page) -> None:
    from service.web.server.start import serving_runs  # noqa: PLC0415 - the server of aiohttp, which `--help` does not need

    with anyio.open_signal_receiver(SIGINT, SIGTERM) as signals:
        async with serving_runs(settings, {}) as url:
            await tell_of_page(url, page)
            async for _ in signals:
                return
