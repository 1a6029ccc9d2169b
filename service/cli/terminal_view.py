"""The view of a running pipeline on a terminal: finished tasks above a panel that is kept up to date."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from rich.console import Console, RenderableType
from rich.live import Live

from service.cli.live_view import Counts
from service.cli.rendering import fitted_panel, task_view
from service.messaging.messages import FinishedTask, Message
from service.run.pace import Pace

_REFRESH_S = 0.25


class TerminalView:
    """Finished tasks in readable form above a panel."""

    def __init__(self, live: Live) -> None:
        self._live = live

    async def observe(self, message: Message) -> None:
        """Print a finished task above the panel."""
        if isinstance(message, FinishedTask):
            self._live.console.print(task_view(message))


@asynccontextmanager
async def open_terminal_view(counts: Counts, pace: Pace) -> AsyncIterator[TerminalView]:
    """Open the view, and refresh it inside the block."""
    with Live(console=Console(), auto_refresh=False, transient=False) as live:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_refresh, live, counts, pace)
            yield TerminalView(live)
            tasks.cancel_scope.cancel()
            pace.stop()
            live.update(_panel(live.console, counts, pace), refresh=True)


def _panel(console: Console, counts: Counts, pace: Pace) -> RenderableType:
    progress, calls = counts()
    return fitted_panel(console, progress, pace, calls)


async def _refresh(live: Live, counts: Counts, pace: Pace) -> None:
    while True:
        live.update(_panel(live.console, counts, pace), refresh=True)
        await anyio.sleep(_REFRESH_S)
