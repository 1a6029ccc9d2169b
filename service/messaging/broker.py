"""The log, as the pipeline sees it: partitions, offsets, groups, transactions and fencing, as in Apache Kafka.

Every stage is written against this port. `tests/contract` is its definition and runs on every adapter. What may
surprise, and holds everywhere:

- Offsets of a partition increase but have gaps: a transaction's end takes one, an abort leaves its own behind. Nobody
  may compute "last + 1"; `position` is the next offset to read, and passes such gaps.
- Readers are read-committed: they see no record at or behind the first offset of an open transaction.
- Opening a transactional id fences whoever had it: their next operation raises `FencedError`.
- A consumer group gives each partition to one member; a commit from an older generation is refused.
- A topic of dead letters takes records a little larger than others: the original and the reason.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

DEAD_LETTERS = ".dlq"
DEAD_LETTER_HEADROOM_BYTES = 16 * 1024

Headers = tuple[tuple[str, bytes | None], ...]


class Isolation(StrEnum):
    """Whether what open transactions wrote counts."""

    READ_COMMITTED = "read_committed"
    READ_UNCOMMITTED = "read_uncommitted"


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One partition of one topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.number}"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it is to be created: its number of partitions is fixed for its life."""

    name: str
    partitions: int


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to be written. Without `partition`, the key's murmur2 hash chooses, as in Kafka's own clients."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was read. Headers are an ordered list and may repeat; `timestamp_ms` is Unix time."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Committed:
    """What a group has committed for a partition: the next offset to read, and a note of its own."""

    offset: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a consumer group, as the broker sees it: its process's name, and what it owns."""

    name: str
    owned: frozenset[Partition]


Offsets = Mapping[Partition, Committed]
Listener = Callable[[frozenset[Partition]], Awaitable[None]]


class Producer(Protocol):
    """Writes records, each on its own."""

    async def send(self, records: Sequence[NewRecord]) -> None:
        """Write records and wait until all are acknowledged, in order within each partition.

        Raises:
            TopicMissingError, RecordTooLargeError: nothing of this call was written.
        """
        ...


class TransactionalProducer(Protocol):
    """Writes records and group offsets that become visible together, or never.

    Any error but `FencedError` leaves the transaction fit for `abort` only. Where the log itself has failed, the abort
    is a last attempt, and every further `begin` raises: only opening the id anew tells where things stand.
    """

    async def begin(self) -> None:
        """Open a transaction; there is at most one at a time."""
        ...

    async def send(self, records: Sequence[NewRecord]) -> None:
        """Write records inside the transaction; a failure here makes `commit` raise."""
        ...

    async def send_offsets(self, group: str, offsets: Offsets) -> None:
        """Commit offsets of a group when the transaction commits."""
        ...

    async def commit(self) -> None:
        """Make everything visible.

        Raises:
            FencedError: another producer opened the same id; nothing became visible.
            OutcomeUnknownError: whether it became visible is not known; only a rebuild can tell.
        """
        ...

    async def abort(self) -> None:
        """Take everything back."""
        ...


class Reader(Protocol):
    """Reads partitions that were assigned by hand."""

    async def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        """Return records in order within each partition; an empty list when none came within `timeout_s`."""
        ...

    def position(self, partition: Partition) -> int:
        """Return the next offset to read; it passes the markers of ended transactions."""
        ...

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on from this offset."""
        ...


class GroupMember(Protocol):
    """One member of a consumer group; partitions come and go with the other members."""

    async def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        """As `Reader.poll`, for the partitions owned now; takes part in rebalances, also when 0 records are asked for.

        A member that does not poll for long is taken for dead, and its partitions are given to others.
        """
        ...

    def position(self, partition: Partition) -> int:
        """Return the next offset to read of an owned partition."""
        ...

    def assignment(self) -> frozenset[Partition]:
        """Return the partitions that this member owns now."""
        ...

    async def commit(self, offsets: Offsets) -> None:
        """Commit offsets of owned partitions.

        Raises:
            IllegalGenerationError: the group has moved on; nothing was committed.
        """
        ...


class Broker(Protocol):
    """One way to have a log. Everything it opens is closed by leaving its context, in bounded time."""

    async def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        """Create the topics that do not exist yet."""
        ...

    async def partitions(self, topic: str) -> int:
        """Return the number of partitions of a topic.

        Raises:
            TopicMissingError: there is no such topic.
        """
        ...

    def producer(self) -> AbstractAsyncContextManager[Producer]:
        """Open a producer."""
        ...

    def transactional_producer(self, transactional_id: str) -> AbstractAsyncContextManager[TransactionalProducer]:
        """Open a transactional id: fences its predecessor and ends what that one left open."""
        ...

    def reader(self, partitions: Sequence[Partition]) -> AbstractAsyncContextManager[Reader]:
        """Open a reader at the beginning of each partition."""
        ...

    def group_member(
        self, group: str, topics: Sequence[str], on_revoked: Listener, on_assigned: Listener
    ) -> AbstractAsyncContextManager[GroupMember]:
        """Join a group; a partition starts at the group's committed offset, else at its beginning.

        `on_revoked` is awaited while commits for the partitions given up are still accepted; `on_assigned` before the
        first record of the partitions gained is returned.
        """
        ...

    async def committed(self, group: str, partition: Partition) -> Committed | None:
        """Return what the group has committed for the partition."""
        ...

    async def members(self, group: str) -> Sequence[Member]:
        """Return who is in a group now; a member that died is listed until its session has timed out."""
        ...

    async def end_offset(self, partition: Partition, isolation: Isolation) -> int:
        """Return the offset behind the last record; read-committed: behind the last that a reader may see."""
        ...
