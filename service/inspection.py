"""Looking at a run without disturbing it, also while another process works on it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread

from service.adapters.sqlite import SqliteBroker
from service.broker import Broker
from service.errors import RunNotFoundError
from service.progress import Progress
from service.replay import Tail
from service.settings import Settings
from service.topics import ALL


@asynccontextmanager
async def open_existing(settings: Settings) -> AsyncIterator[Broker]:
    """Open a run's log for reading.

    Raises:
        RunNotFoundError: there is no such run; names those that there are.
    """
    await to_thread.run_sync(_check_exists, settings)
    async with SqliteBroker.open(settings.sqlite_file, read_only=True) as broker:
        yield broker


def _check_exists(settings: Settings) -> None:
    file = settings.sqlite_file
    if not file.is_file():
        others = ", ".join(sorted(path.stem for path in file.parent.glob("*.sqlite3"))) or "none"
        raise RunNotFoundError(
            f"expected a run {settings.run!r} in {file.parent}, and there is none; runs there: {others}"
        )


def is_worked_on(settings: Settings) -> bool:
    """Return whether a process on this machine has the run open: the one that its lock file names is alive."""
    try:
        holder = int(settings.sqlite_file.with_suffix(".lock").read_text("utf-8"))
        os.kill(holder, 0)
    except (OSError, ValueError):
        return False
    return True


async def read_progress(broker: Broker, run: str) -> Progress:
    """Return how far a run has got."""
    progress = Progress()
    async with Tail.of(broker, run, ALL) as tail:
        async for message in tail.messages_to_end():
            progress.apply(message)
    return progress
