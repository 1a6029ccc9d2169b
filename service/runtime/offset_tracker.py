"""Tracks the committable offset of a partition whose records are finished out of order."""

from collections import deque
from collections.abc import Sequence


class OffsetTracker:
    """One partition's unfinished offsets.

    The committable offset is the lowest unfinished one or, if there is none, the position of the reader: never
    "last + 1", since transactions leave gaps.
    """

    def __init__(self, start: int) -> None:
        self._position = start
        self._unfinished: deque[int] = deque()
        self._finished: set[int] = set()

    @property
    def position(self) -> int:
        """Return the offset up to which everything has been delivered."""
        return self._position

    @property
    def watermark(self) -> int:
        """Return the offset that may be committed: everything before it is finished."""
        return self._unfinished[0] if self._unfinished else self._position

    @property
    def unfinished(self) -> int:
        """Return how many offsets are unfinished, or finished behind an unfinished one."""
        return len(self._unfinished)

    def deliver(self, offsets: Sequence[int], position: int) -> list[int]:
        """Enter polled offsets and the reader's position after them; returns the offsets that are new.

        After a rebalance a partition that stays is read again from its committed offset: records in flight, or
        finished, are not new.
        """
        new = [offset for offset in offsets if offset >= self._position]
        self._unfinished.extend(new)
        self._position = max(self._position, position)
        return new

    def finish(self, offset: int) -> None:
        """Mark a delivered offset as finished; idempotent."""
        if offset >= self.watermark:
            self._finished.add(offset)
        while self._unfinished and self._unfinished[0] in self._finished:
            self._finished.discard(self._unfinished.popleft())
