"""What is wanted of a run, as its `control` topic says now: every process follows it, nobody has to be told."""

from collections.abc import Callable

import anyio

from service.messaging.broker import Broker
from service.messaging.messages import GoalSet, RunDefined
from service.messaging.topic_reader import Tail
from service.messaging.topics import CONTROL
from service.run.progress import Progress


class RunControl:
    """The definition, the goal and the end of one run, followed."""

    def __init__(self, broker: Broker, run: str) -> None:
        self._broker = broker
        self._run = run
        self._said = Progress()
        self._changed = anyio.Event()

    @property
    def definition(self) -> RunDefined | None:
        """Return what the run is, once it has been defined."""
        return self._said.defined

    @property
    def goal(self) -> GoalSet | None:
        """Return what is wanted of it."""
        return self._said.goal

    @property
    def target(self) -> int:
        """Return how many finished tasks are wanted."""
        return self._said.target

    @property
    def at_rest(self) -> bool:
        """Return whether there is nothing to do: no goal yet, or the run has ended for the goal it has."""
        return self._said.defined is None or self._said.goal is None or self._said.ended is not None

    async def follow(self) -> None:
        """Read `control` from its beginning and go on for ever."""
        async with Tail.of(self._broker, self._run, [CONTROL]) as tail:
            while True:
                news = await tail.next()
                for message in news:
                    self._said.apply(message)
                if news:
                    self.reconsider()

    def reconsider(self) -> None:
        """Let all who wait look again at what they wait for: something else has changed."""
        self._changed.set()
        self._changed = anyio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds of what is said."""
        while not condition():
            await self._changed.wait()
