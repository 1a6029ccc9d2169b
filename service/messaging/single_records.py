"""Reads single records of a log by their offsets."""

from collections.abc import AsyncIterator, Mapping

from service.messaging.broker import Partition, Reader, Record

_POLL_S = 0.2


async def first_records(
    reader: Reader, places: Mapping[Partition, int], ends: Mapping[Partition, int]
) -> AsyncIterator[Record]:
    """Yield the first record at or behind an offset of each partition, in any order, as they come.

    A partition that has given its record is left at its end. The caller limits the time: a partition may have none.
    """
    waiting = set(places)
    for partition, offset in places.items():
        reader.seek(partition, offset)
    while waiting:
        for record in await reader.poll(len(waiting), _POLL_S):
            if record.partition in waiting:
                waiting.remove(record.partition)
                reader.seek(record.partition, ends[record.partition])
                yield record
