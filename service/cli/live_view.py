"""Views of a running pipeline: a panel on a terminal, or finished tasks alone in a pipe."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import anyio
import structlog
from anyio import to_thread
from rich.console import Console, RenderableType
from rich.live import Live

from service.cli.pace import Pace
from service.cli.rendering import fitted_panel, summary, task_view
from service.cli.terminal_text import on_terminal
from service.messaging.messages import FinishedTask, Message
from service.run.progress import Progress

_REFRESH_S = 0.25
_LOG_EVERY_S = 10.0

log = structlog.get_logger()

Counts = Callable[[], tuple[Progress, str | None]]


class View(Protocol):
    """Shows messages as they arrive."""

    async def observe(self, message: Message) -> None:
        """Show a message if it is a finished task."""
        ...


class TerminalView:
    """Finished tasks in readable form above a panel."""

    def __init__(self, live: Live) -> None:
        self._live = live

    async def observe(self, message: Message) -> None:
        """Print a finished task above the panel."""
        if isinstance(message, FinishedTask):
            self._live.console.print(task_view(message))


class PipeView:
    """Finished tasks as JSON Lines on standard output."""

    async def observe(self, message: Message) -> None:
        """Write a finished task."""
        if isinstance(message, FinishedTask):
            await to_thread.run_sync(_write_line, message.to_json())


def _write_line(line: bytes) -> None:
    if sys.stdout is None:
        raise BrokenPipeError  # it was closed before the process started
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


@asynccontextmanager
async def open_view(counts: Counts, pace: Pace) -> AsyncIterator[View]:
    """Open the view for standard output, terminal or pipe, and refresh it inside the block."""
    console = Console()
    async with anyio.create_task_group() as tasks:
        if on_terminal():
            with Live(console=console, auto_refresh=False, transient=False) as live:
                tasks.start_soon(_refresh, live, counts, pace)
                yield TerminalView(live)
                tasks.cancel_scope.cancel()
                pace.stop()
                live.update(_panel(live.console, counts, pace), refresh=True)
        else:
            tasks.start_soon(_report, counts, pace)
            yield PipeView()
            tasks.cancel_scope.cancel()
            pace.stop()
            _log_progress(counts, pace)


def _panel(console: Console, counts: Counts, pace: Pace) -> RenderableType:
    progress, calls = counts()
    return fitted_panel(console, progress, pace, calls)


async def _refresh(live: Live, counts: Counts, pace: Pace) -> None:
    while True:
        live.update(_panel(live.console, counts, pace), refresh=True)
        await anyio.sleep(_REFRESH_S)


async def _report(counts: Counts, pace: Pace) -> None:
    while True:
        await anyio.sleep(_LOG_EVERY_S)
        _log_progress(counts, pace)


def _log_progress(counts: Counts, pace: Pace) -> None:
    progress, calls = counts()
    facts = {name.replace(" ", "_"): value for name, value in summary(progress, pace, calls).items()}
    log.info("run.progress", **facts)
