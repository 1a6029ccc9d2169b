"""The records between a group member, which fetches them, and a consumer, which handles them.

The two may run on different threads. A consumer that is slow, or blocks its event loop for minutes, therefore delays
neither heartbeats nor rebalances nor commits.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from math import inf
from threading import Lock
from typing import TypeVar

from service.client.signal import Signal
from service.errors import BrokerError, NewerVersionError, SeedstreamError
from service.messaging.broker import Partition, Record

T = TypeVar("T")

_FULL = 500


class Window:
    """Records that were fetched and are not done yet, and the positions that follow from them.

    A record is waiting, then in hand (the consumer has it), then done. `ends` are the end offsets of the stream at its
    opening, `failure` is the error that ended the membership.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self.news = Signal()
        self.demand = Signal()
        self.commits = Signal()
        self.closing = Signal()
        self._requests: deque[Future[None]] = deque()
        self.ends: Mapping[Partition, int] | None = None
        self.failure: SeedstreamError | None = None
        self.closed = False
        self._waiting: deque[Record] = deque()
        self._in_hand: list[Record] = []
        self._read_to: dict[Partition, int] | None = None
        self._handed_to: dict[Partition, int] = {}
        self._committed: dict[Partition, int] = {}
        self._before: frozenset[Partition] = frozenset()

    # For the consumer

    def take(self, most: int, read: Callable[[Record], T | None]) -> list[T]:
        """Return what `read` makes of the next records, as `pop_read` does; the records are in hand from now on."""
        with self._lock:
            taken, found = pop_read(self._waiting, most, read)
            self._in_hand += taken
            self._handed_to |= {record.partition: record.offset + 1 for record in taken}
            self.demand.notify()
            return found

    def done(self) -> None:
        """Mark all records in hand as done."""
        with self._lock:
            self._in_hand.clear()

    def at_end(self) -> bool:
        """Return whether all records before the end offsets have been taken from the partitions owned now."""
        with self._lock:
            if self._waiting or self._read_to is None or self.ends is None:
                return False
            return all(position >= self.ends.get(each, 0) for each, position in self._read_to.items())

    @property
    def has_news(self) -> bool:
        """Whether there are records to take, or none will come."""
        return bool(self._waiting) or self.closed

    def close(self) -> None:
        """End the membership."""
        self.closed = True
        self.closing.notify()
        self.news.notify()

    async def wait_until_open(self) -> None:
        """Wait until the member has joined its group, or raise the error that prevented it."""
        while self.ends is None and not self.closed:
            await self.news.wait_for(lambda: self.ends is not None or self.closed, inf)
        if self.failure is not None:
            raise self.failure

    async def commit(self) -> None:
        """Have the member commit what is done, and wait until it has."""
        request: Future[None] = Future()
        self._requests.append(request)
        self.commits.notify()
        if self.closed:
            self.refuse_requests()
        await asyncio.wrap_future(request)

    # For the member

    @property
    def is_full(self) -> bool:
        """Whether enough records are waiting."""
        return len(self._waiting) >= _FULL

    @property
    def has_requests(self) -> bool:
        """Whether the consumer waits for a commit."""
        return bool(self._requests)

    def open(self, ends: Mapping[Partition, int]) -> None:
        """Tell the consumer that the log is open, and where the stream ends."""
        self.ends = ends
        self.news.notify()

    def fail(self, failure: SeedstreamError) -> None:
        """Tell the consumer that the membership ends with an error."""
        self.failure = failure
        self.close()

    def refuse_requests(self) -> None:
        """Fail the requests that the member can no longer serve."""
        settle(self.take_requests(), self.failure or BrokerError("commit: the stream is closed"))

    def take_requests(self) -> list[Future[None]]:
        """Return the consumer's requests for a commit, which the caller must settle."""
        taken: list[Future[None]] = []
        with suppress(IndexError):
            while True:
                taken.append(self._requests.popleft())
        return taken

    def add(self, records: Sequence[Record], positions: Mapping[Partition, int]) -> None:
        """Add fetched records, and set the next offset to read of each partition owned."""
        with self._lock:
            self._waiting.extend(each for each in records if each.offset >= self._handed_to.get(each.partition, 0))
            self._read_to = {each: max(to, self._handed_to.get(each, 0)) for each, to in positions.items()}
            self.news.notify()

    def revoke(self) -> None:
        """Drop the waiting records: the group gives up all its partitions and reads on from the committed offsets."""
        with self._lock:
            self._waiting.clear()
            if self._read_to is not None:
                self._before = frozenset(self._read_to)
            self._read_to = None

    def assign(self, starts: Mapping[Partition, int]) -> dict[Partition, int]:
        """Begin a new assignment at its start offsets.

        Records in hand stay counted where the partition stays, and are not handed out again. Return how far the
        consumer had got in the lost partitions, if that was not committed: their new owners get those records again.
        """
        with self._lock:
            lost = {
                each: to
                for each, to in self._handed_to.items()
                if each not in starts and self._committed.get(each, 0) < to
            }
            kept = self._before & starts.keys()
            self._handed_to = {each: to for each, to in self._handed_to.items() if each in kept}
            self._in_hand = [
                each for each in self._in_hand if each.partition in kept and each.offset >= starts[each.partition]
            ]
            self._read_to = {each: max(start, self._handed_to.get(each, 0)) for each, start in starts.items()}
            self._committed = {}
            return lost

    def uncommitted(self) -> dict[Partition, int]:
        """Return the offsets to commit: each partition's first record that is not done, else its next to read."""
        with self._lock:
            offsets = dict(self._read_to or {})
            for record in reversed([*self._in_hand, *self._waiting]):
                offsets[record.partition] = record.offset
            return {each: offset for each, offset in offsets.items() if self._committed.get(each) != offset}

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """Remember committed offsets."""
        with self._lock:
            self._committed |= offsets


def pop_read(waiting: deque[Record], most: int, read: Callable[[Record], T | None]) -> tuple[list[Record], list[T]]:
    """Pop at most `most` records, and return them and what `read` makes of them; `None` is left out.

    A record of a newer version stays, so that it is not committed.

    Raises:
        NewerVersionError: the first record is of a newer version.
    """
    popped: list[Record] = []
    found: list[T] = []
    while waiting and len(popped) < most:
        try:
            one = read(waiting[0])
        except NewerVersionError:
            if popped:
                break
            raise
        popped.append(waiting.popleft())
        if one is not None:
            found.append(one)
    return popped, found


def settle(requests: Sequence[Future[None]], error: SeedstreamError | None) -> None:
    """Tell the waiting consumer the outcome of its requests."""
    for request in requests:
        if request.set_running_or_notify_cancel():
            if error is None:
                request.set_result(None)
            else:
                request.set_exception(error)
