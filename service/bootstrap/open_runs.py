"""The runs of one log: their names, and the log of each, opened to read."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import to_thread

from service.bootstrap.open_run import check_among, open_existing, runs_with_control
from service.errors import BrokerError, RunNotFoundError
from service.messaging.broker import Broker
from service.settings import RUN_NAME, Settings

if TYPE_CHECKING:
    from service.adapters.kafka import KafkaBroker


class RunLogs:
    """The logs of all runs at one place. Those that this process writes itself are `own`."""

    def __init__(self, settings: Settings, own: Mapping[str, Broker], cluster: "KafkaBroker | None") -> None:
        self._settings = settings
        self._own = own
        self._cluster = cluster

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, own: Mapping[str, Broker]) -> "AsyncIterator[RunLogs]":
        """Open the place of the logs. On Kafka, all runs share one client.

        Raises:
            BrokerError: no Kafka broker answers.
        """
        if not settings.on_kafka:
            yield cls(settings, own, None)
            return
        from service.bootstrap.open_kafka import open_kafka

        async with open_kafka(settings) as cluster:
            yield cls(settings, own, cluster)

    def settings_of(self, run: str) -> Settings:
        """Return the settings of a run.

        Raises:
            RunNotFoundError: no run can have this name.
        """
        if not re.fullmatch(RUN_NAME, run) or run.endswith("\n"):
            raise RunNotFoundError(
                "expected the name of a run: at most 63 small letters, digits, - and _, beginning and ending with a "
                "letter or digit"
            )
        return self._settings.model_copy(update={"run": run})

    async def names(self) -> list[str]:
        """Return the names of all runs, in order.

        Raises:
            BrokerError: the place of the logs cannot be read.
        """
        if self._cluster is not None:
            return runs_with_control(await self._cluster.topic_names())
        return await to_thread.run_sync(_in_folder, self._settings.sqlite_file.parent)

    @asynccontextmanager
    async def opened(self, run: str) -> AsyncIterator[Broker]:
        """Open the log of an existing run to read it; one that this process writes is that of the writer.

        Raises:
            RunNotFoundError: there is no such run.
            BrokerError: the log cannot be read.
        """
        settings = self.settings_of(run)
        if run in self._own:
            yield self._own[run]
        elif self._cluster is not None:
            check_among(settings, await self._cluster.topic_names())
            yield self._cluster
        else:
            async with open_existing(settings) as broker:
                yield broker

    def writer(self, run: str) -> Broker | None:
        """Return the log of a run as far as it may be written without opening it again: on Kafka, or an own one."""
        return self._own.get(run) or self._cluster


def _in_folder(folder: Path) -> list[str]:
    try:
        found = [path.stem for path in folder.glob("*.sqlite3")]
    except OSError as error:
        raise BrokerError(f"expected to look for runs in {folder}, got: {error}") from error
    return sorted(name for name in found if re.fullmatch(RUN_NAME, name))
