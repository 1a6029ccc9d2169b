"""The partitions of the embedded broker in memory: the readable range of offsets, and the newest records.

An unfinished write (an open transaction, or any write that is not durable yet) hides every later offset of its
partitions from readers, as an open transaction does in Kafka.
"""

from collections.abc import Callable

from service.adapters.sqlite.tail import Tail
from service.messaging.broker import Record


class PartitionLog:
    """One partition: its end offset, its unfinished writes and its tail, the newest records."""

    def __init__(self, next_offset: int) -> None:
        self.next_offset = next_offset
        self.watchers: set[Callable[[], None]] = set()
        self._unfinished: dict[int, int] = {}  # by write, its first offset: in ascending order
        self._tail = Tail(next_offset)

    @property
    def readable_end(self) -> int:
        """The offset behind the last one that a read-committed reader may see (Kafka's last stable offset)."""
        return next(iter(self._unfinished.values()), self.next_offset)

    def append(self, write: int, record: Record, size: int) -> None:
        """Append a record of an unfinished write, which has the next offset and this many bytes."""
        self.hold(write)
        self._tail.append(record, size)
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
        self._tail.trim(self.readable_end)
        for watcher in self.watchers:
            watcher()

    def drop(self, write: int, offsets: set[int]) -> None:
        """Drop the records of an aborted write; their offsets remain a gap."""
        self._tail.remove(offsets)
        self.finish(write)

    def extend_to(self, next_offset: int) -> None:
        """Move the end of a log that another process writes; all offsets before it are read from storage."""
        if next_offset > self.next_offset:
            self.next_offset = self._tail.start = next_offset

    def tail_from(self, offset: int, limit: int) -> list[Record] | None:
        """Return up to `limit` readable records from `offset` on, None if the tail begins after `offset`."""
        return self._tail.between(offset, self.readable_end, limit)

    @property
    def tail_start(self) -> int:
        """The offset from which on the tail is complete."""
        return self._tail.start
