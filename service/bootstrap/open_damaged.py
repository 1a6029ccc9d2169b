"""Opens what is whole of a damaged log, and a new log for it."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from anyio import to_thread

from service.adapters.sqlite import Lost, SqliteBroker, copy_whole_records
from service.bootstrap.open_embedded import runs_in
from service.bootstrap.open_run import check_exists
from service.errors import BrokerError, ConfigurationError
from service.messaging.broker import Broker, Isolation, Partition
from service.messaging.topics import specs
from service.settings import Settings

__all__ = ["Lost", "open_damaged"]


@asynccontextmanager
async def open_damaged(settings: Settings, into: Settings) -> AsyncIterator[tuple[Broker, Broker, Sequence[Lost], str]]:
    """Open a copy of the whole records of a run and the empty log of a new run; yield both, what is lost, and a name.

    It is the name of the run in the file, which the file itself may not have. The new run gets its file when the block
    ends without an error.

    Raises:
        ConfigurationError: the run is on Kafka or does not exist, the new run exists, or the file holds several runs
            and none has its name.
        BrokerError: nothing of any run is whole, or the folder cannot be written.
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
    folder = await to_thread.run_sync(_folder_in, target.parent)
    try:
        whole, new = Path(folder.name, "whole.sqlite3"), Path(folder.name, "new.sqlite3")
        lost = await to_thread.run_sync(copy_whole_records, settings.sqlite_file, whole)
        async with SqliteBroker.open(whole) as source, SqliteBroker.open(new) as broker:
            run = await _run_in(source, settings)
            await source.create_topics(specs(run, settings.work_partitions))
            await broker.create_topics(specs(into.run, into.work_partitions))
            yield source, broker, lost, run
        await to_thread.run_sync(_rename, new, target)
    finally:
        await to_thread.run_sync(folder.cleanup)


async def _run_in(source: SqliteBroker, settings: Settings) -> str:
    """Return the name of the run with records in a copied file: the asked one if it is there, else the only one."""
    topics = await source.topic_names()
    partitions = [Partition(topic, number) for topic in topics for number in range(await source.partitions(topic))]
    ends = await source.end_offsets(partitions, Isolation.READ_UNCOMMITTED)
    found = runs_in(partition.topic for partition, end in ends.items() if end > 0)
    if settings.run in found:
        return settings.run
    if not found:
        raise BrokerError(f"{settings.sqlite_file}: expected records of a run, and none of a run is whole")
    if len(found) > 1:
        raise ConfigurationError(
            f"{settings.sqlite_file} holds runs {' and '.join(map(repr, found))}, and not {settings.run!r}; copy the "
            f"file to the name of the one to salvage, as {found[0]}.sqlite3 in another folder"
        )
    return found[0]


def _folder_in(parent: Path) -> TemporaryDirectory[str]:
    with _named_error(parent):
        return TemporaryDirectory(prefix=".salvage-", dir=parent)


def _rename(new: Path, target: Path) -> None:
    with _named_error(target.parent):
        new.rename(target)


@contextmanager
def _named_error(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BrokerError(
            f"{folder}: expected a folder in which the new run can be written, got: {error}; or copy the damaged file, "
            "and its -wal file if there is one, to another folder, and salvage it there (--broker sqlite:FOLDER)"
        ) from error
