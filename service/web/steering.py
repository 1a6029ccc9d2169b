"""Writes to a run that a request asks for: goals and seed tasks, with the checks of the command line."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus

import anyio
from anyio import to_thread

from service.bootstrap.open_broker import open_log
from service.bootstrap.open_run import holder_of
from service.errors import ConfigurationError, RunLockedError
from service.messaging import topics
from service.messaging.broker import Broker
from service.messaging.messages import GoalSet
from service.messaging.topic_reader import replay
from service.pipeline.seed_adding import KnownTasks, add_to_pool
from service.run.definition import AskedRun
from service.run.goals import begin, check_pause
from service.run.progress import Progress
from service.selfinstruct.tasks import SeedTask
from service.settings import Settings
from service.web.commands import goal_command
from service.web.problems import ProblemError

_WRITTEN_WITHIN_S = 30.0


class Steering:
    """Writes to one run. `broker` is its log, if this process may write it; else it is opened for each write."""

    def __init__(self, settings: Settings, broker: Broker | None) -> None:
        self._settings = settings
        self._broker = broker
        self._writing = anyio.Lock()

    async def set_goal(self, change: Callable[[GoalSet], GoalSet], counted: Progress) -> GoalSet:
        """Change the goal of the run, and return the new one. A run that has ended goes on under another goal.

        `counted` are the counts of the run, as far as its log is read.

        Raises:
            ProblemError: the run has no goal yet or no work to pause, or another process alone may write its log.
        """
        async with self.writing() as broker:
            said = Progress()
            await replay(broker, self._settings.run, [topics.CONTROL], said.apply)
            if said.defined is None or said.goal is None:
                raise undefined(self._settings)
            goal = change(said.goal)
            said.finished = counted.finished
            try:
                check_pause(said, goal)
            except ConfigurationError as error:
                raise ProblemError(HTTPStatus.CONFLICT, str(error)) from error
            if goal != said.goal:
                await begin(broker, AskedRun(self._settings), said, goal)
            return goal

    async def add_seeds(self, seeds: Sequence[SeedTask]) -> list[SeedTask]:
        """Submit the seed tasks that the run does not have yet, and return them; admit lets them into the pool.

        Raises:
            ProblemError: another process alone may write the log.
            RunNotFoundError: the run was never defined.
            SeedTaskError: the run has another task with the same id, or a prompt with the tasks would be too long.
        """
        async with self.writing() as broker:
            known = await KnownTasks.of(broker, self._settings.run)
            new = known.new_among(seeds)
            await add_to_pool(broker, known.definition, new, admits=self._broker is not None)
            return new

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
        ProblemError: another process alone may write it, or topics are missing on Kafka.
    """
    async with AsyncExitStack() as stack:
        try:
            broker = await stack.enter_async_context(open_log(settings))
        except RunLockedError as error:
            raise await _locked(settings) from error
        except ConfigurationError as error:
            command = f"seedstream topics create --run {settings.run}" if settings.on_kafka else None
            raise ProblemError(HTTPStatus.CONFLICT, str(error), command=command) from error
        yield broker


async def _locked(settings: Settings) -> ProblemError:
    holder = await to_thread.run_sync(holder_of, settings)
    return ProblemError(
        HTTPStatus.CONFLICT,
        f"process {'of unknown id' if holder is None else holder} works on run {settings.run!r}, and alone may write "
        "its embedded log: steer the run at the page of that process if it was started with --web, or stop it and "
        "steer the run here",
        command=f"seedstream run --run {settings.run} --web",
    )


def undefined(settings: Settings) -> ProblemError:
    """Return the problem of a run that has a log and no definition."""
    return ProblemError(
        HTTPStatus.CONFLICT,
        f"run {settings.run!r} was never defined, so that it has no goal yet",
        command=goal_command(settings),
    )
