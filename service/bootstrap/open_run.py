"""Opens the log of an existing run."""

import os
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from anyio import to_thread

from service.adapters.sqlite import lock_path
from service.bootstrap.open_embedded import open_embedded, runs_in
from service.errors import BrokerError, RunNotFoundError
from service.messaging.broker import Broker
from service.messaging.topics import CONTROL
from service.settings import Settings


@asynccontextmanager
async def open_existing(settings: Settings, *, writable: bool = False) -> AsyncIterator[Broker]:
    """Open the log of an existing run, read-only unless `writable`; a log on Kafka is always writable.

    Raises:
        RunNotFoundError: the run does not exist; the message lists the existing runs.
        ConfigurationError: the SQLite file holds another run.
        RunLockedError: `writable` is set, and another process has the SQLite log open.
    """
    if settings.on_kafka:
        from service.bootstrap.open_kafka import open_kafka

        async with open_kafka(settings) as cluster:
            check_among(settings, await cluster.topic_names())
            yield cluster
        return
    await to_thread.run_sync(check_exists, settings)
    async with open_embedded(settings, read_only=not writable) as broker:
        if settings.run not in runs_in(await broker.topic_names()):
            raise RunNotFoundError(f"{settings.sqlite_file} is empty: no run has begun in it")
        yield broker


def check_exists(settings: Settings) -> None:
    """Raise `RunNotFoundError` unless the run's SQLite file exists, `BrokerError` if that cannot be seen."""
    file = settings.sqlite_file
    try:
        is_there = file.is_file()
    except OSError as error:
        raise BrokerError(f"expected to look for a run in {file.parent}, got: {error}") from error
    if not is_there:
        others = ", ".join(sorted(path.stem for path in file.parent.glob("*.sqlite3"))) or "none"
        raise RunNotFoundError(
            f"expected a run {settings.run!r} in {file.parent}, and there is none; runs there: {others}"
        )


def check_among(settings: Settings, names: Sequence[str]) -> None:
    """Raise `RunNotFoundError` unless the run has a topic among these of a Kafka cluster."""
    if CONTROL.of(settings.run) not in names:
        raise RunNotFoundError(
            f"expected a run {settings.run!r} at {settings.broker}, and there is none; runs there: "
            f"{', '.join(runs_with_control(names)) or 'none'}"
        )


def runs_with_control(names: Iterable[str]) -> list[str]:
    """Return the names of the runs whose topic `control` is among these topics."""
    head, tail = CONTROL.of("/").split("/")
    return sorted(name.removeprefix(head).removesuffix(tail) for name in names if name.endswith(tail))


def is_worked_on(settings: Settings) -> bool:
    """Return whether a process may work on the run now.

    On SQLite, the process in the lock file must be alive on this machine. On Kafka, the result is always true.
    """
    return settings.on_kafka or holder_of(settings) is not None


def holder_of(settings: Settings) -> int | None:
    """Return the id of the process that may write the run's SQLite log now; None if there is none on this machine."""
    try:
        holder = int(lock_path(settings.sqlite_file).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    try:
        os.kill(holder, 0)
    except PermissionError:
        return holder  # a process of another user
    except (OSError, OverflowError):
        return None
    return holder
