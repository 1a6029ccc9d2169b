"""Views of a running pipeline: a panel on a terminal, or finished tasks alone in a pipe."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import anyio
import structlog
from anyio import to_thread

from service.cli.facts import summary
from service.cli.terminal_text import on_terminal
from service.messaging.messages import FinishedTask, Message
from service.run.pace import Pace
from service.run.progress import Progress

_LOG_EVERY_S = 10.0

log = structlog.get_logger()

Counts = Callable[[], tuple[Progress, str | None]]


class View(Protocol):
    """Shows messages as they arrive."""

    async def observe(self, message: Message) -> None:
        """Show a message if it is a finished task."""
        ...


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
    if on_terminal():
        from service.cli.terminal_view import open_terminal_view  # noqa: PLC0415 - rich

        async with open_terminal_view(counts, pace) as view:
            yield view
    else:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_report, counts, pace)
            yield PipeView()
            tasks.cancel_scope.cancel()
            pace.stop()
            _log_progress(counts, pace)


async def _report(counts: Counts, pace: Pace) -> None:
    while True:
        await anyio.sleep(_LOG_EVERY_S)
        _log_progress(counts, pace)


def _log_progress(counts: Counts, pace: Pace) -> None:
    progress, calls = counts()
    told = summary(progress, pace, calls)
    facts = {name.replace(" ", "_"): value.replace("\n", "; ") for name, value in told.items()}
    log.info("run.progress", **facts)
