"""Reads the progress of a run for a command, which says so if it takes a while."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import typer

from service.bootstrap.open_run import open_existing
from service.checkpoints import Checkpoints
from service.messaging.broker import Broker
from service.run.progress_reader import MANY, ProgressReader
from service.settings import Settings

_SILENT_S = 3.0
_EVERY_S = 10.0


@asynccontextmanager
async def open_progress(settings: Settings) -> AsyncIterator[tuple[Broker, ProgressReader]]:
    """Open the log of an existing run, and read it to its current end.

    After a long read, a checkpoint is left for the next command.
    """
    async with (
        open_existing(settings) as broker,
        ProgressReader.open(broker, settings.run, Checkpoints(settings.state_folder)) as reader,
    ):
        await reader.catch_up(_Told())
        await reader.save(MANY)
        yield broker, reader


class _Told:
    """Says on standard error how much of the log is read, now and then."""

    def __init__(self) -> None:
        self._due_s = time.monotonic() + _SILENT_S

    def __call__(self, share: float) -> None:
        if time.monotonic() >= self._due_s:
            self._due_s = time.monotonic() + _EVERY_S
            typer.echo(f"reading the log: {share:.0%}", err=True)
