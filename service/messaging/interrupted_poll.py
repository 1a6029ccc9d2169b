"""Polls that wait long for records and end at once when their worker is to stop."""

from collections.abc import Awaitable, Callable

import anyio

from service.messaging.broker import Record


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
