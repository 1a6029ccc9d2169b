"""The partitions of the embedded broker in memory: the readable range of offsets, and the newest records.

An unfinished write (an open transaction, or any write that is not durable yet) hides every later offset of its
partitions from readers, as an open transaction does in Kafka. Most readers follow the end of a log, so its newest
records are kept in memory and need no SQL.
"""

from bisect import bisect_left
from collections.abc import Callable
from operator import attrgetter

from service.messaging.broker import Record

_TAIL_RECORDS = 500
_offset_of = attrgetter("offset")


class PartitionLog:
    """One partition: its end offset, its unfinished writes and its tail, the newest records."""

    def __init__(self, next_offset: int) -> None:
        self.next_offset = next_offset
        self.watchers: set[Callable[[], None]] = set()
        self._unfinished: dict[int, int] = {}  # by write, its first offset: in ascending order
        self._tail: list[Record] = []
        self._tail_start = next_offset

    @property
    def readable_end(self) -> int:
        """The offset behind the last one that a read-committed reader may see (Kafka's last stable offset)."""
        return next(iter(self._unfinished.values()), self.next_offset)

    def append(self, write: int, record: Record) -> None:
        """Append a record of an unfinished write, which has the next offset."""
        self.hold(write)
        self._tail.append(record)
        self.next_offset = record.offset + 1

    def hold(self, write: int) -> None:
        """Hide this and every later offset until the write is finished."""
        self._unfinished.setdefault(write, self.next_offset)

    def mark(self) -> int:
        """Use one offset for the marker that ends a transaction, and return the new end offset."""
        self.next_offset += 1
        return self.next_offset

    def finish(self, write: int) -> None:
        """Make the records of a write visible, and notify the watchers."""
        if self._unfinished.pop(write, None) is None:
            return
        if len(self._tail) > 2 * _TAIL_RECORDS:
            self._trim()
        for watcher in self.watchers:
            watcher()

    def _trim(self) -> None:
        readable = bisect_left(self._tail, self.readable_end, key=_offset_of)
        cut = min(readable, len(self._tail) - _TAIL_RECORDS)
        if cut > 0:
            self._tail_start = self._tail[cut].offset
            del self._tail[:cut]

    def drop(self, write: int, offsets: set[int]) -> None:
        """Drop the records of an aborted write; their offsets remain a gap."""
        self._tail = [record for record in self._tail if record.offset not in offsets]
        self.finish(write)

    def extend_to(self, next_offset: int) -> None:
        """Move the end of a log that another process writes; all offsets before it are read from storage."""
        if next_offset > self.next_offset:
            self.next_offset = self._tail_start = next_offset

    def tail_from(self, offset: int, limit: int) -> list[Record] | None:
        """Return up to `limit` readable records from `offset` on, None if the tail begins after `offset`."""
        if offset < self._tail_start:
            return None
        first = bisect_left(self._tail, offset, key=_offset_of)
        last = bisect_left(self._tail, self.readable_end, lo=first, key=_offset_of)
        return self._tail[first : min(last, first + limit)]

    @property
    def tail_start(self) -> int:
        """The offset from which on the tail is complete."""
        return self._tail_start
