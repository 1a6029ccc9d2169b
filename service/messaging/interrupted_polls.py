"""Polls that wait long for records and end at once when their worker is to stop."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Self

import anyio

from service.messaging.broker import Record
from service.task_groups import unwrapped_task_group


class InterruptedPolls:
    """Polls, one at a time, that end at once when `stop` or one of the `others` is set."""

    def __init__(self, stop: anyio.Event, *others: anyio.Event) -> None:
        self.stop = stop
        self._events = (stop, *others)
        self._polling = anyio.CancelScope()

    @classmethod
    @asynccontextmanager
    async def until(cls, stop: anyio.Event, *others: anyio.Event) -> AsyncIterator[Self]:
        """Watch the events beside the block: one task each for all of its polls."""
        polls = cls(stop, *others)
        async with unwrapped_task_group() as tasks:
            for event in polls._events:
                tasks.start_soon(polls._watch, event)
            yield polls
            tasks.cancel_scope.cancel()

    async def poll(self, poll: Callable[[], Awaitable[list[Record]]]) -> list[Record]:
        """Return the records of a poll, or none if an event is set first; a cancelled poll loses no record."""
        if not any(event.is_set() for event in self._events):
            with anyio.CancelScope() as self._polling:
                return await poll()
        return []

    async def _watch(self, event: anyio.Event) -> None:
        await event.wait()
        self._polling.cancel()
