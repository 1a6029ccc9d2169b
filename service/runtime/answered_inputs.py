"""Reads from the results of a stage which inputs are answered, so that no recorded answer is paid for again.

A committed offset says from where input is delivered again. Its metadata (`service.runtime.commit_metadata`) says from
where the results have to be read to know which of that input is answered. Answers to calls that were in flight then
are written behind that place: following the results tells when.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from service.messaging.broker import Broker, Isolation, Partition, Reader
from service.messaging.codec import causes
from service.runtime.commit_metadata import Ends

_REPLY_S = 60.0
_BATCH = 1_000


class Answers:
    """The results of a stage, read for the offsets that they answer."""

    def __init__(self, broker: Broker, reader: Reader, since: dict[Partition, int]) -> None:
        self._broker = broker
        self._reader = reader
        self._since = since

    @classmethod
    @asynccontextmanager
    async def behind(cls, broker: Broker, results: str, ends: Ends) -> "AsyncIterator[Answers]":
        """Open the results behind these ends, one for each of their partitions."""
        since = {Partition(results, number): end for number, end in enumerate(ends)}
        async with broker.reader(list(since)) as reader:
            yield cls(broker, reader, since)

    async def now(self, sources: frozenset[Partition]) -> dict[Partition, set[int]]:
        """Read up to the present end; returns the offsets of each source that are answered by then."""
        targets = {each: await self._broker.end_offset(each, Isolation.READ_COMMITTED) for each in self._since}
        for partition, target in targets.items():
            self._reader.seek(partition, min(self._since[partition], target))
        found: dict[Partition, set[int]] = {source: set() for source in sources}
        with anyio.fail_after(_REPLY_S):
            while any(self._reader.position(partition) < target for partition, target in targets.items()):
                for source, offset in await self.next(1.0):
                    if source in found:
                        found[source].add(offset)
        return found

    async def next(self, timeout_s: float) -> list[tuple[Partition, int]]:
        """Return the inputs that the next results answer; none when no result came in time."""
        records = await self._reader.poll(_BATCH, timeout_s)
        return [(Partition(topic, number), offset) for topic, number, offset in causes(records)]
