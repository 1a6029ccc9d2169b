"""The runs that this process serves: each is opened at its first request, and followed from then on."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import anyio
import structlog
from anyio.abc import TaskGroup

from service.bootstrap.asked_model import AskedModels
from service.bootstrap.open_runs import RunLogs
from service.checkpoints import Checkpoints
from service.errors import SeedstreamError
from service.messaging.broker import Broker
from service.run.pace import Pace
from service.run.progress import Progress
from service.run.progress_reader import ProgressReader
from service.settings import Settings
from service.task_groups import unwrapped_task_group
from service.web.problems import ProblemError
from service.web.read_model import ReadModel
from service.web.read_model.pulse import Pulse
from service.web.steering import Steering

_OPENS_WITHIN_S = 20.0
_MOST_OPEN = 64
_SEEN_WITHIN_S = 2.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OwnRun:
    """A run that this process works on: its log, and the models that it asks."""

    broker: Broker
    models: AskedModels


class LiveRun:
    """A run as far as its log is read; `news` beats when more was counted, `model.news` when more is in the tables.

    `closed` is set when the run is no longer followed, because its log failed or the service ends.
    """

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        reader: ProgressReader,
        model: ReadModel,
        steering: Steering,
        models: AskedModels | None,
    ) -> None:
        self.settings = settings
        self.broker = broker
        self.model = model
        self.steering = steering
        self.models = models
        self.news = Pulse()
        self.closed = anyio.Event()
        self.pace = Pace(finished_before=reader.progress.finished)
        self._reader = reader

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.settings.run

    @property
    def progress(self) -> Progress:
        """Counts of the run."""
        return self._reader.progress

    @property
    def latest_ms(self) -> int:
        """Time of the latest record read, in milliseconds of Unix time; 0 if there is none."""
        return self._reader.tail.latest_ms

    async def read(self, what: Callable[[Progress], bool]) -> None:
        """Wait a moment until something that was just written is read too, for the next question of its writer."""
        with anyio.move_on_after(_SEEN_WITHIN_S):
            while not what(self.progress):
                await self.news.wait(self.news.revision)

    async def read_all(self) -> None:
        """Wait until everything that is on the log now has been counted."""
        seen = self.news.revision
        while await self._reader.tail.left():
            await self.news.wait(seen)
            seen = self.news.revision

    async def follow(self) -> None:
        """Read the log as it grows, until cancelled.

        Raises:
            BrokerError: the log cannot be read.
        """
        async with unwrapped_task_group() as tasks:
            tasks.start_soon(self.model.follow)
            await self._count()

    async def _count(self) -> None:
        while True:
            if await self._reader.next():
                self.pace.per_minute(self.progress.finished)
                self.news.beat()


class _Opening:
    """A run that is being opened, or is open, or has failed."""

    def __init__(self) -> None:
        self.share = 0.0
        self.live: LiveRun | None = None
        self.error: SeedstreamError | None = None
        self.is_over = anyio.Event()

    def tell(self, share: float) -> None:
        self.share = share

    def done(self, live: LiveRun) -> None:
        self.live = live
        self.is_over.set()


class Runs:
    """The runs of one log."""

    def __init__(self, logs: RunLogs, own: Mapping[str, OwnRun], tasks: TaskGroup) -> None:
        self._logs = logs
        self._own = own
        self._tasks = tasks
        self._openings: dict[str, _Opening] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, own: Mapping[str, OwnRun]) -> "AsyncIterator[Runs]":
        """Open the place of the logs; `own` are the runs that this process works on."""
        brokers = {name: each.broker for name, each in own.items()}
        async with RunLogs.open(settings, brokers) as logs, unwrapped_task_group() as tasks:
            yield cls(logs, own, tasks)
            tasks.cancel_scope.cancel()

    def writer(self, name: str) -> Broker | None:
        """Return the log of a run as far as this process may write it without opening it again."""
        return self._logs.writer(name)

    async def names(self) -> list[str]:
        """Return the names of all runs of the log, in order."""
        return await self._logs.names()

    @property
    def opened(self) -> Mapping[str, LiveRun]:
        """The runs that are open now."""
        return {name: each.live for name, each in self._openings.items() if each.live is not None}

    def settings_of(self, name: str) -> Settings:
        """Return the settings of a run, whether it exists or not.

        Raises:
            RunNotFoundError: no run can have this name.
        """
        return self._logs.settings_of(name)

    async def of(self, name: str) -> LiveRun:
        """Return a run; the first call opens it, and reads its log to the end.

        Raises:
            RunNotFoundError: there is no such run.
            BrokerError: its log cannot be read.
            ProblemError: the log is so long that it is still being read, or too many runs are open.
        """
        opening = self._openings.get(name)
        if opening is None:
            settings = self._logs.settings_of(name)
            if len(self._openings) >= _MOST_OPEN:
                raise ProblemError(
                    HTTPStatus.SERVICE_UNAVAILABLE, f"expected at most {_MOST_OPEN} runs to be read, and they are"
                )
            opening = self._openings[name] = _Opening()
            self._tasks.start_soon(self._serve, settings, opening)
        with anyio.move_on_after(_OPENS_WITHIN_S):
            await opening.is_over.wait()
        if opening.error is not None:
            raise opening.error
        if opening.live is None:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"run {name!r}: {opening.share:.0%} of its log is read so far; try again",
                headers={"Retry-After": "5"},
            )
        return opening.live

    async def _serve(self, settings: Settings, opening: _Opening) -> None:
        """Open a run and follow it, until its log fails or the service ends; another request opens it again."""
        try:
            async with self._opened(settings, opening.tell) as live:
                opening.done(live)
                try:
                    await live.follow()
                finally:
                    live.closed.set()
        except* SeedstreamError as group:
            opening.error = _first(group)
            if opening.live is not None:
                log.warning("web.run_closed", run=settings.run, error=str(opening.error))
        finally:
            del self._openings[settings.run]
            opening.is_over.set()

    @asynccontextmanager
    async def _opened(self, settings: Settings, tell: Callable[[float], None]) -> AsyncIterator[LiveRun]:
        own = self._own.get(settings.run)
        async with (
            self._logs.opened(settings.run) as broker,
            ProgressReader.open(broker, settings.run, Checkpoints(settings.state_folder)) as reader,
            ReadModel.open(broker, settings.run, _tables_of(settings)) as model,
        ):
            await reader.catch_up(tell)
            steering = Steering(settings, self._logs.writer(settings.run))
            models = own.models if own is not None else None
            yield LiveRun(settings, broker, reader, model, steering, models)


def _tables_of(settings: Settings) -> Path | None:
    """Return the file of a run's tables, beside its checkpoints; they can be made again from the log."""
    folder = settings.state_folder
    return None if folder is None else folder / "web.sqlite3"


def _first(group: BaseExceptionGroup[SeedstreamError]) -> SeedstreamError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
