"""Writes to a run that a request asks for: goals and seed tasks, with the checks of the command line."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

import anyio
from anyio import to_thread

from service.bootstrap.open_broker import open_log
from service.bootstrap.open_run import holder_of
from service.errors import RunLockedError
from service.messaging import topics
from service.messaging.broker import Broker
from service.messaging.messages import GoalSet
from service.messaging.topic_reader import replay
from service.run.definition import AskedRun
from service.run.goals import begin
from service.run.progress import Progress
from service.settings import Settings
from service.web.problems import ProblemError

_WRITTEN_WITHIN_S = 30.0


class Steering:
    """Writes to one run. `broker` is its log, if this process may write it; else it is opened for each write."""

    def __init__(self, settings: Settings, broker: Broker | None) -> None:
        self._settings = settings
        self._broker = broker
        self._writing = anyio.Lock()

    async def set_goal(self, change: Callable[[GoalSet], GoalSet]) -> GoalSet:
        """Change the goal of the run, and return the new one. A run that has ended goes on.

        Raises:
            ProblemError: the run has no goal yet, or another process alone may write its log.
            ConfigurationError: the changed goal does not fit the run.
        """
        async with self.writing() as broker:
            progress = Progress()
            await replay(broker, self._settings.run, [topics.CONTROL], progress.apply)
            if progress.defined is None or progress.goal is None:
                raise undefined(self._settings)
            goal = change(progress.goal)
            await begin(broker, AskedRun(self._settings), progress, goal)
            return goal

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Broker]:
        """Open the log to write; one request at a time writes, and goes on when its client leaves.

        Raises:
            ProblemError: another process alone may write the log.
        """
        async with self._writing:
            with anyio.fail_after(_WRITTEN_WITHIN_S, shield=True):
                if self._broker is not None:
                    yield self._broker
                else:
                    async with open_to_write(self._settings) as broker:
                        yield broker


@asynccontextmanager
async def open_to_write(settings: Settings) -> AsyncIterator[Broker]:
    """Open the log of a run to write it.

    Raises:
        ProblemError: another process alone may write it.
    """
    try:
        async with open_log(settings) as broker:
            yield broker
    except RunLockedError as error:
        holder = await to_thread.run_sync(holder_of, settings)
        raise ProblemError(
            HTTPStatus.CONFLICT,
            f"process {'of unknown id' if holder is None else holder} works on run {settings.run!r}, and alone may "
            "write its embedded log: stop it and steer the run here, or run it with --web and steer it there",
            command=f"seedstream run --run {settings.run} --web",
        ) from error


def undefined(settings: Settings) -> ProblemError:
    """Return the problem of a run that has a log and no definition."""
    return ProblemError(
        HTTPStatus.CONFLICT,
        f"run {settings.run!r} was never defined, so that it has no goal yet",
        command=f"seedstream goal --run {settings.run} --target N",
    )
