"""Reads single records of the log by their offsets."""

from collections.abc import Collection

import anyio

from service.errors import BrokerError
from service.messaging.broker import Broker, Isolation, Partition, Record

Place = tuple[Partition, int]

_POLL_S = 0.2
_LIMIT_S = 15.0


async def records_at(broker: Broker, places: Collection[Place]) -> list[Record]:
    """Return the records at some places, at most one in each partition.

    Raises:
        BrokerError: they do not come in time.
    """
    wanted = dict(places)
    if not wanted:
        return []
    found: list[Record] = []
    ends = await broker.end_offsets(list(wanted), Isolation.READ_COMMITTED)
    with anyio.move_on_after(_LIMIT_S):
        async with broker.reader(list(wanted)) as reader:
            for partition, offset in wanted.items():
                reader.seek(partition, offset)
            while wanted:
                for record in await reader.poll(len(wanted), _POLL_S):
                    if wanted.get(record.partition) == record.offset:
                        found.append(record)
                        del wanted[record.partition]
                        reader.seek(record.partition, ends[record.partition])
    if wanted:
        missing = ", ".join(f"{partition}/{offset}" for partition, offset in wanted.items())
        raise BrokerError(f"{missing}: expected a record there within {_LIMIT_S:.0f} s, and none came")
    return found
