"""Polls that wait long for records and end at once when their worker is to stop."""

from collections.abc import Awaitable, Callable

import anyio

from service.messaging.broker import Record


class InterruptedPolls:
    """Polls, one at a time, that end at once when `stop` is set and `watch` runs beside them.

    Each costs much less than `poll_until`, which begins a task.
    """

    def __init__(self, stop: anyio.Event) -> None:
        self._stop = stop
        self._polling = anyio.CancelScope()

    async def watch(self) -> None:
        """Interrupt the poll that is under way when `stop` is set; then end."""
        await self._stop.wait()
        self._polling.cancel()

    async def poll(self, poll: Callable[[], Awaitable[list[Record]]]) -> list[Record]:
        """Return the records of a poll, or none if `stop` is set first; a cancelled poll loses no record."""
        if not self._stop.is_set():
            with anyio.CancelScope() as self._polling:
                return await poll()
        return []


async def poll_until(stop: anyio.Event, poll: Callable[[], Awaitable[list[Record]]]) -> list[Record]:
    """Return the records of a poll, or none if `stop` is set first; a cancelled poll loses no record."""
    records: list[Record] = []
    async with anyio.create_task_group() as race:

        async def end() -> None:
            await stop.wait()
            race.cancel_scope.cancel()

        race.start_soon(end)
        records = await poll()
        race.cancel_scope.cancel()
    return records
