"""Reads single records of the log by their offsets."""

from collections.abc import Collection

import anyio

from service.errors import BrokerError
from service.messaging.broker import Broker, Isolation, Partition, Record
from service.messaging.single_records import first_records

Place = tuple[Partition, int]

_LIMIT_S = 15.0


async def records_at(broker: Broker, places: Collection[Place]) -> list[Record]:
    """Return the records at some places, at most one in each partition.

    Raises:
        BrokerError: they do not come in time.
    """
    wanted = dict(places)
    if not wanted:
        return []
    found: dict[Place, Record] = {}
    ends = await broker.end_offsets(list(wanted), Isolation.READ_COMMITTED)
    with anyio.move_on_after(_LIMIT_S):
        async with broker.reader(list(wanted)) as reader:
            async for record in first_records(reader, wanted, ends):
                found[record.partition, record.offset] = record
    if missed := wanted.items() - found.keys():
        missing = ", ".join(f"{partition}/{offset}" for partition, offset in sorted(missed))
        raise BrokerError(f"{missing}: expected a record there within {_LIMIT_S:.0f} s, and none came")
    return list(found.values())
