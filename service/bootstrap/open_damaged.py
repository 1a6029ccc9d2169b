"""Opens what is whole of a damaged log, and a new log for it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from anyio import to_thread

from service.adapters.sqlite import Lost, SqliteBroker, copy_whole_records
from service.bootstrap.open_run import check_exists
from service.errors import ConfigurationError
from service.messaging.broker import Broker
from service.messaging.topics import specs
from service.settings import Settings

__all__ = ["Lost", "open_damaged"]


@asynccontextmanager
async def open_damaged(settings: Settings, into: Settings) -> AsyncIterator[tuple[Broker, Broker, Sequence[Lost]]]:
    """Open a copy of the whole records of a run and the empty log of a new run; yield both, and what is lost.

    The new run gets its file when the block ends without an error.

    Raises:
        ConfigurationError: the run is on Kafka or does not exist, or the new run exists.
        RunLockedError: a process works on the run.
    """
    if settings.on_kafka:
        raise ConfigurationError(
            "salvage: expected a run on the embedded log; Kafka keeps its topics whole by replicas"
        )
    await to_thread.run_sync(check_exists, settings)
    target = into.sqlite_file
    if await to_thread.run_sync(target.exists):
        raise ConfigurationError(f"run {into.run!r} exists already; give a new name with --into")
    folder = await to_thread.run_sync(lambda: TemporaryDirectory(prefix=".salvage-", dir=target.parent))
    try:
        whole, new = Path(folder.name, "whole.sqlite3"), Path(folder.name, "new.sqlite3")
        lost = await to_thread.run_sync(copy_whole_records, settings.sqlite_file, whole)
        async with SqliteBroker.open(whole) as source, SqliteBroker.open(new) as broker:
            await source.create_topics(specs(settings.run, settings.work_partitions))
            await broker.create_topics(specs(into.run, into.work_partitions))
            yield source, broker, lost
        await to_thread.run_sync(new.rename, target)
    finally:
        await to_thread.run_sync(folder.cleanup)
