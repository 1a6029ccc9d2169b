"""Polls that wait long for records and end at once when their worker is to stop."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Self

import anyio

from service.messaging.broker import Record
from service.task_groups import unwrapped_task_group


class InterruptedPolls:
    """Polls, one at a time, that end at once when `stop` is set."""

    def __init__(self, stop: anyio.Event) -> None:
        self.stop = stop
        self._polling = anyio.CancelScope()

    @classmethod
    @asynccontextmanager
    async def until(cls, stop: anyio.Event) -> AsyncIterator[Self]:
        """Watch `stop` beside the block: one task for all of its polls."""
        polls = cls(stop)
        async with unwrapped_task_group() as tasks:
            tasks.start_soon(polls._watch)
            yield polls
            tasks.cancel_scope.cancel()

    async def poll(self, poll: Callable[[], Awaitable[list[Record]]]) -> list[Record]:
        """Return the records of a poll, or none if `stop` is set first; a cancelled poll loses no record."""
        if not self.stop.is_set():
            with anyio.CancelScope() as self._polling:
                return await poll()
        return []

    async def _watch(self) -> None:
        await self.stop.wait()
        self._polling.cancel()
