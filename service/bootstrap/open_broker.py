"""Opens the log that the settings name, after a check of its topics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import structlog
from anyio import to_thread

from service.adapters.sqlite import Storage
from service.bootstrap.open_embedded import open_embedded, refuse_other_runs
from service.errors import ConfigurationError
from service.messaging.broker import Broker
from service.messaging.topics import specs
from service.settings import Settings

log = structlog.get_logger()


@asynccontextmanager
async def open_log(settings: Settings) -> AsyncIterator[Broker]:
    """Open the log to work on the run. On SQLite, missing topics are created; on Kafka, they must exist and be valid.

    An SQLite file that is created here is deleted at the end if the run was not defined.

    Raises:
        ConfigurationError: topics are missing or invalid, and the message names the commands that fix them; or the
            SQLite file holds another run.
        RunLockedError: another process has the SQLite log open.
        BrokerError: the log cannot be reached.
    """
    if not settings.on_kafka:
        was_there = await to_thread.run_sync(_is_there, settings.sqlite_file)
        async with open_embedded(settings, keep_empty=False) as embedded:
            if was_there and not await embedded.topic_names():
                log.warning("log.was_empty", file=str(settings.sqlite_file), hint="a new run begins in it")
            await embedded.create_topics(specs(settings.run, settings.work_partitions))
            yield embedded
        return
    from service.bootstrap.open_kafka import open_kafka
    from service.bootstrap.topic_checks import find_faults

    async with open_kafka(settings) as broker:
        wrong = await find_faults(broker, settings)
        if wrong:
            raise ConfigurationError(
                f"the topics of run {settings.run!r} at {settings.broker} are not as they must be:\n  "
                + "\n  ".join(wrong)
            )
        yield broker


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except PermissionError:
        return False  # opening it says so


def check_writable(settings: Settings) -> None:
    """Raise unless a run can open the SQLite log; delete the files that this check creates.

    Raises:
        ConfigurationError: the file holds another run.
        RunLockedError: another process has the log open.
        BrokerError: the file cannot be read or written.
    """
    with closing(Storage(settings.sqlite_file, read_only=False, keep_empty=False)) as storage:
        refuse_other_runs(settings, {partition.topic for partition in storage.partitions()})
