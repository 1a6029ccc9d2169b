"""The engine of the embedded broker: it assigns offsets in memory and writes records in groups.

One thread writes at a time, with all waiting writes in one SQL transaction (group commit). Readers see a record once
that transaction has been committed. Only durable records survive a crash; an open transaction leaves at most a gap in
the offsets.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio import to_thread

from service.adapters.partitioning import checked_size, partition_number
from service.adapters.sqlite.log import PartitionLog
from service.adapters.sqlite.storage import Storage, Write
from service.errors import BrokerError, TopicMissingError
from service.messaging.broker import (
    Committed,
    NewRecord,
    Partition,
    Record,
    TopicSpec,
)

_FOREIGN_POLL_S = 0.2


@dataclass(eq=False, slots=True)
class Unfinished:
    """A write in memory that readers do not see yet."""

    write: Write
    number: int

    def offsets_in(self, partition: Partition) -> set[int]:
        """Return the offsets of this write's records in a partition."""
        return {record.offset for record in self.write.records if record.partition == partition}


@dataclass(eq=False, slots=True)
class _Ticket:
    """A write that waits for its turn; `ended` is there if another caller makes it."""

    unfinished: Unfinished
    ended: anyio.Event | None = None
    error: BrokerError | None = None


class LogEngine:
    """The partitions of one file, the order of their writes, and the committed offsets of all groups."""

    def __init__(self, storage: Storage, *, read_only: bool, max_record_bytes: int) -> None:
        self.read_only = read_only
        self._storage = storage
        self._max_record_bytes = max_record_bytes
        self._logs: dict[Partition, PartitionLog] = {}
        self._widths: dict[str, int] = {}
        self.committed: dict[tuple[str, Partition], Committed] = {}
        self._queue: list[_Ticket] = []
        self._flushing = anyio.Lock()
        self._reading = anyio.CapacityLimiter(1)
        self._writes = 0

    @classmethod
    async def open(cls, path: Path, *, read_only: bool, keep_empty: bool, max_record_bytes: int) -> "LogEngine":
        """Open or create the file; blocking work runs in a worker thread."""
        storage = await to_thread.run_sync(lambda: Storage(path, read_only=read_only, keep_empty=keep_empty))
        engine = cls(storage, read_only=read_only, max_record_bytes=max_record_bytes)
        try:
            await engine.refresh()
        except BaseException:
            await engine.close()
            raise
        return engine

    async def close(self) -> None:
        """Wait for the write in progress and close the file."""
        with anyio.CancelScope(shield=True):
            async with self._flushing, self._reading:
                await to_thread.run_sync(self._storage.close)

    async def refresh(self) -> None:
        """Load partitions and committed offsets from the file: at the start, and again if another process writes it."""
        async with self._reading:
            ends = await to_thread.run_sync(self._storage.partitions)
            self.committed = await to_thread.run_sync(self._storage.committed)
        for partition, end in ends.items():
            log = self._logs.setdefault(partition, PartitionLog(end))
            log.extend_to(end)
            self._widths[partition.topic] = max(self._widths.get(partition.topic, 0), partition.number + 1)

    async def create(self, topics: Sequence[TopicSpec]) -> None:
        """Create the topics that do not exist yet."""
        new = [
            Partition(topic.name, number)
            for topic in topics
            if topic.name not in self._widths
            for number in range(topic.partitions)
        ]
        if new:
            async with self._flushing, self._reading:
                await to_thread.run_sync(self._storage.create, new)
            await self.refresh()

    def topic_names(self) -> list[str]:
        """Return the names of all topics."""
        return list(self._widths)

    def partitions(self, topic: str) -> list[Partition]:
        """Return the partitions of a topic; raise `TopicMissingError` if there is none."""
        if topic not in self._widths:
            raise TopicMissingError(f"expected a topic {topic}, and there is none; create the topics of the run first")
        return [Partition(topic, number) for number in range(self._widths[topic])]

    def log(self, partition: Partition) -> PartitionLog:
        """Return the log of a partition; raise `TopicMissingError` if there is none."""
        if partition not in self._logs:
            raise TopicMissingError(f"expected a partition {partition}, and there is none")
        return self._logs[partition]

    def start(self) -> Unfinished:
        """Begin a write that readers do not see until `finish`."""
        self._writes += 1
        return Unfinished(Write(), self._writes)

    def append(self, unfinished: Unfinished, records: Sequence[NewRecord]) -> None:
        """Assign offsets to records, to all of them or, on an error, to none."""
        placed = [(self._place(record), checked_size(record, self._max_record_bytes), record) for record in records]
        now_ms = time.time_ns() // 1_000_000
        for partition, size, new in placed:
            log = self._logs[partition]
            record = Record(partition, log.next_offset, new.key, new.value, new.headers, now_ms)
            log.append(unfinished.number, record, size)
            unfinished.write.records.append(record)
            unfinished.write.ends[partition] = log.next_offset

    def mark(self, unfinished: Unfinished) -> None:
        """Assign an offset to the transaction's marker in every partition that it wrote to."""
        for partition in unfinished.write.ends:
            unfinished.write.ends[partition] = self._logs[partition].mark()

    async def finish(self, unfinished: Unfinished) -> None:
        """Make a write durable, then visible.

        A cancellation of the caller is delayed until the write has ended: a write in progress can neither be rolled
        back nor relied on.
        """
        ticket = _Ticket(unfinished)
        self._queue.append(ticket)
        with anyio.CancelScope(shield=True):
            if ticket is self._queue[0]:
                await self._flush()
            else:
                ticket.ended = anyio.Event()
                await ticket.ended.wait()
        if ticket.error is not None:
            raise ticket.error

    def take_back(self, unfinished: Unfinished) -> None:
        """Drop a write; its offsets remain a gap."""
        for partition in unfinished.write.ends:
            self._logs[partition].drop(unfinished.number, unfinished.offsets_in(partition))

    async def read(self, partition: Partition, start: int, limit: int) -> tuple[list[Record], int]:
        """Return up to `limit` readable records from `start` on, and the next position, which passes gaps."""
        log = self._logs[partition]
        end = log.readable_end
        found = log.tail_from(start, limit)
        if found is None:
            end = min(end, log.tail_start)
            async with self._reading:
                found = await to_thread.run_sync(self._storage.read, partition, start, end, limit)
        if len(found) == limit:
            return found, found[-1].offset + 1
        return found, max(start, end)

    async def wait(self, wakeup: anyio.Event, timeout_s: float) -> None:
        """Wait for an event; if another process writes the file, also reload it after at most `_FOREIGN_POLL_S`."""
        if not self.read_only:
            with anyio.move_on_after(timeout_s):
                await wakeup.wait()
            return
        with anyio.move_on_after(min(timeout_s, _FOREIGN_POLL_S)):
            await wakeup.wait()
        await self.refresh()

    def _place(self, record: NewRecord) -> Partition:
        width = self._widths.get(record.topic) or len(self.partitions(record.topic))
        return Partition(record.topic, partition_number(record, width, self._writes))

    async def _flush(self) -> None:
        """Write all that is queued once the write in progress has ended; the first in the queue calls this for all."""
        tickets = list[_Ticket]()
        error: BrokerError | None = BrokerError("the write was not made: one that was to be made with it broke off")
        try:
            async with self._flushing:
                tickets, self._queue = self._queue, tickets
                await to_thread.run_sync(self._storage.apply, [ticket.unfinished.write for ticket in tickets])
                error = None
        except BrokerError as failure:
            error = failure
        finally:
            if not tickets:  # it broke off before its turn
                tickets, self._queue = self._queue, tickets
            for ticket in tickets:
                self._end(ticket, error)

    def _end(self, ticket: _Ticket, error: BrokerError | None) -> None:
        """Show a write to readers, or take it back; its caller learns of it."""
        if error is not None:
            ticket.error = error
            self.take_back(ticket.unfinished)
        else:
            self.committed.update(ticket.unfinished.write.offsets)
            for partition in ticket.unfinished.write.ends:
                self._logs[partition].finish(ticket.unfinished.number)
        if ticket.ended is not None:
            ticket.ended.set()
