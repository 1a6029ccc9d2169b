"""Follows a run's `control` topic, by which every process learns the definition, the goal and the end of the run."""

from collections.abc import Callable

import anyio

from service.messaging.broker import Broker
from service.messaging.messages import GoalSet, RunDefined
from service.messaging.topic_reader import Tail
from service.messaging.topics import CONTROL
from service.run.progress import Progress

_POLL_S = 5.0


class RunControl:
    """The current definition, goal and end of a run, kept up to date by `follow`."""

    def __init__(self, broker: Broker, run: str) -> None:
        self._broker = broker
        self._run = run
        self._said = Progress()
        self._changed = anyio.Event()

    @property
    def definition(self) -> RunDefined | None:
        """Definition of the run, or `None` until it is defined."""
        return self._said.defined

    @property
    def goal(self) -> GoalSet | None:
        """Current goal, or `None` until one is set."""
        return self._said.goal

    @property
    def target(self) -> int:
        """Target of the current goal, in finished tasks; 0 until a goal is set."""
        return self._said.target

    @property
    def at_rest(self) -> bool:
        """Whether there is no work: the run has no definition or goal yet, is paused, or has ended under its goal."""
        said = self._said
        return said.defined is None or said.goal is None or said.ended is not None or said.paused

    async def follow(self) -> None:
        """Read `control` from its beginning, and follow it until cancelled.

        Raises:
            DecodeError: Seedstream wrote a record there that this version cannot read.
        """
        async with Tail.of(self._broker, self._run, [CONTROL], complete=True) as tail:
            while True:
                news = await tail.next(_POLL_S)
                for message in news:
                    self._said.apply(message)
                if news:
                    self.reconsider()

    def reconsider(self) -> None:
        """Make all waiters in `until` check their conditions again, after a change outside `control`."""
        self._changed.set()
        self._changed = anyio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds; it is checked after every change on `control` and every `reconsider`."""
        while not condition():
            await self._changed.wait()
