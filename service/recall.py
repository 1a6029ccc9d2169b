"""What a stage has already answered, read from its own results: so that nothing recorded is paid for again.

A committed offset says from where input is delivered again. Beside it stands a note: how far each partition of the
results had got when that input was first taken. Its answer, and those of all later input of the same partition, can
only lie behind.
"""

from collections import deque

import anyio

from service.broker import Broker, Isolation, Partition
from service.codec import causes

Ends = tuple[int, ...]

_REPLY_S = 60.0


def dump_ends(ends: Ends) -> str:
    """Return the note for a committed offset."""
    return ",".join(map(str, ends))


def load_ends(note: str, partitions: int) -> Ends:
    """Return the ends that a note names; none are known from an empty one."""
    return tuple(map(int, note.split(","))) if note else (0,) * partitions


class Marks:
    """Which note belongs to which watermark of one partition.

    Up to `until`, answers of earlier owners may still be passed over, so the note they left stays in force.
    """

    def __init__(self, inherited: Ends, until: int) -> None:
        self._inherited = inherited
        self._until = until
        self._marks: deque[tuple[int, Ends]] = deque()

    def delivered(self, offset: int, ends: Ends) -> None:
        """Note how far the results had got when an input was taken."""
        self._marks.append((offset, ends))

    def at(self, watermark: int, ends: Ends) -> Ends:
        """Return the ends to note beside a watermark; `ends` are those of now, for when nothing is unfinished."""
        while self._marks and self._marks[0][0] < watermark:
            self._marks.popleft()
        if watermark < self._until:
            return self._inherited
        return self._marks[0][1] if self._marks else ends


async def answered(broker: Broker, results: str, since: Ends, source: Partition) -> set[int]:
    """Return the offsets of a partition whose results are on the log behind `since`."""
    partitions = [Partition(results, number) for number in range(len(since))]
    found: set[int] = set()
    targets = {partition: await broker.end_offset(partition, Isolation.READ_COMMITTED) for partition in partitions}
    async with broker.reader(partitions) as reader:
        for partition, start in zip(partitions, since, strict=True):
            reader.seek(partition, start)
        with anyio.fail_after(_REPLY_S):
            while any(reader.position(partition) < target for partition, target in targets.items()):
                for topic, number, offset in causes(await reader.poll(1_000, 1.0)):
                    if (topic, number) == (source.topic, source.number):
                        found.add(offset)
    return found
