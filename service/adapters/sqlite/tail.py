"""The newest records of a partition in memory: readers that follow the end of a log need no SQL for them."""

from bisect import bisect_left
from operator import attrgetter

from service.messaging.broker import Record

# The tail is cut to these once it has twice as much; with smaller steps each write would cut it.
_RECORDS = 500
_BYTES = 4 << 20
_offset_of = attrgetter("offset")


class Tail:
    """The records from `start` on, all of them."""

    def __init__(self, start: int) -> None:
        self.start = start
        self._records: list[Record] = []
        self._sizes: list[int] = []
        self._bytes = 0

    def append(self, record: Record, size: int) -> None:
        """Append a record of this many bytes."""
        self._records.append(record)
        self._sizes.append(size)
        self._bytes += size

    def remove(self, offsets: set[int]) -> None:
        """Remove the records at these offsets."""
        kept = [each for each in zip(self._records, self._sizes, strict=True) if each[0].offset not in offsets]
        self._records = [record for record, _ in kept]
        self._sizes = [size for _, size in kept]
        self._bytes = sum(self._sizes)

    def between(self, begin: int, end: int, limit: int) -> list[Record] | None:
        """Return up to `limit` records in a range of offsets, None if the tail starts behind its beginning."""
        if begin < self.start:
            return None
        first = bisect_left(self._records, begin, key=_offset_of)
        last = bisect_left(self._records, end, lo=first, key=_offset_of)
        return self._records[first : min(last, first + limit)]

    def trim(self, end: int) -> None:
        """Drop the oldest records if there are too many, or too many bytes; those from `end` on are in memory alone."""
        if len(self._records) <= 2 * _RECORDS and self._bytes <= 2 * _BYTES:
            return
        droppable = min(bisect_left(self._records, end, key=_offset_of), len(self._records) - 1)
        cut = 0
        while cut < droppable and (len(self._records) - cut > _RECORDS or self._bytes > _BYTES):
            self._bytes -= self._sizes[cut]
            cut += 1
        self.start = self._records[cut].offset if cut else self.start
        del self._records[:cut], self._sizes[:cut]
