"""Finds the records with some keys by reading parts of topics."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping

from service.errors import DecodeError
from service.messaging import codec
from service.messaging.broker import Broker, Isolation, Partition, Reader, Record
from service.messaging.dead_letters import is_copy
from service.messaging.messages import Message
from service.messaging.silence import Silence
from service.messaging.topics import Topic
from service.run.record_index import RecordIndex

_BATCH = 1_024
_POLL_S = 0.2
_SILENCE_S = 60.0


async def look_up(
    broker: Broker, run: str, index: RecordIndex, topics: Iterable[Topic[Message]], keys: Collection[str]
) -> AsyncIterator[Message]:
    """Yield the messages with one of the keys, in the order of their partition.

    Records that cannot be read, and copies that were put back, are left out.
    """
    by_name = {topic.of(run): topic for topic in topics}
    ranges = {each for name in by_name for key in keys for each in index.find(name, key)}
    if not ranges:
        return
    async for record in _records(broker, sorted(ranges)):
        if (record.key or b"").decode("utf-8", "replace") in keys and not is_copy(record):
            try:
                yield codec.decode(by_name[record.partition.topic], record)
            except DecodeError:
                continue


async def _records(broker: Broker, ranges: Iterable[tuple[Partition, int, int]]) -> AsyncIterator[Record]:
    """Yield the records in ranges of offsets: one range of each partition at a time."""
    wanted = defaultdict[Partition, list[tuple[int, int]]](list)
    for partition, begin, end in ranges:
        wanted[partition].append((begin, end))
    ends = await broker.end_offsets(list(wanted), Isolation.READ_COMMITTED)
    async with broker.reader(list(wanted)) as reader:
        for turn in range(max(map(len, wanted.values()), default=0)):
            now = {partition: some[turn] for partition, some in wanted.items() if turn < len(some)}
            for partition, end in ends.items():  # a partition without a range in this turn waits at its end
                reader.seek(partition, now[partition][0] if partition in now else end)
            targets = {partition: min(end, ends[partition]) for partition, (_, end) in now.items()}
            async for record in _up_to(broker, reader, targets):
                yield record


async def _up_to(broker: Broker, reader: Reader, targets: Mapping[Partition, int]) -> AsyncIterator[Record]:
    silence = Silence(broker, reader, list(targets), _SILENCE_S)
    while any(reader.position(partition) < target for partition, target in targets.items()):
        for record in await reader.poll(_BATCH, _POLL_S):
            if record.offset < targets.get(record.partition, 0):
                yield record
        await silence.check()
