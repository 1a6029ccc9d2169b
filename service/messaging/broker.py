"""The broker port: partitions, offsets, consumer groups, transactions and fencing, as in Apache Kafka.

Every stage uses the log through this port. The tests in `tests/contract` define its semantics and run on every adapter.
These rules hold on all of them:

- Offsets of a partition increase, with gaps: the end of a transaction takes an offset, and an abort leaves a gap where
  its records were. Code must not compute "last + 1". `position` is the next offset to read and skips such gaps.
- Readers are read-committed: they see no record at or after the first offset of an open transaction.
- Opening a transactional id fences its previous producer, whose next operation raises `FencedError`.
- A consumer group assigns each partition to one member; the broker refuses a commit of an older generation.
- A dead letter topic accepts slightly larger records than other topics, since a dead letter is the original record
  and the reason.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

from msgspec import Struct, structs

DEAD_LETTERS = ".dlq"
DEAD_LETTER_HEADROOM_BYTES = 16 * 1024

ParsedHeaders: TypeAlias = tuple[tuple[str, bytes | None], ...]


def first_value(headers: ParsedHeaders, name: str) -> bytes | None:
    """Return the first value of a header, or `None` if it is absent or has no value."""
    for found, value in headers:
        if found == name and value is not None:
            return value
    return None


class FirstHeaders:
    """The first headers that many records have in common; an object of its own, by which an adapter knows them."""

    __slots__ = ("parsed",)

    def __init__(self, parsed: ParsedHeaders) -> None:
        self.parsed = parsed

    def are_of(self, headers: "Headers") -> bool:
        """Return whether headers begin with these."""
        if isinstance(headers, LazyHeaders):
            return headers.begin_with(self)
        return headers[: len(self.parsed)] == self.parsed


class LazyHeaders(Struct, frozen=True, gc=False, eq=False):
    """Headers of a record that are parsed when they are asked for: most readers need one or two of them."""

    def first(self, name: str) -> bytes | None:
        """Return the first value of a header, or `None` if it is absent or has no value."""
        return first_value(self.parsed(), name)

    def begin_with(self, first: FirstHeaders) -> bool:
        """Return whether these headers are the first ones."""
        return first.are_of(self.parsed())

    def parsed(self) -> ParsedHeaders:
        """Return all headers."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.parsed())

    def __iter__(self) -> Iterator[tuple[str, bytes | None]]:
        return iter(self.parsed())

    def __getitem__(self, places: slice) -> ParsedHeaders:
        return self.parsed()[places]

    def __eq__(self, other: object) -> bool:
        return self.parsed() == (other.parsed() if isinstance(other, LazyHeaders) else other)

    def __hash__(self) -> int:
        return hash(self.parsed())

    def __repr__(self) -> str:
        return repr(self.parsed())


Headers: TypeAlias = ParsedHeaders | LazyHeaders


class Isolation(StrEnum):
    """Whether an end offset includes the records of open transactions."""

    READ_COMMITTED = "read_committed"
    READ_UNCOMMITTED = "read_uncommitted"


class Partition(Struct, frozen=True, gc=False, order=True):
    """A partition of a topic, numbered from 0; prints as `topic/number`."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.number}"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to create; its number of partitions never changes."""

    name: str
    partitions: int


class NewRecord(Struct, frozen=True, gc=False):
    """A record to write. Without `partition`, the murmur2 hash of the key selects one, as in Kafka's own clients."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    partition: int | None = None


class Record(Struct, frozen=True, gc=False, eq=False):
    """A record read from the log. Headers are ordered and may repeat; `timestamp_ms` is Unix time in milliseconds.

    `decoded` is set by the first `codec.decode`, for the other readers of the same object in this process.
    """

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int
    decoded: "Decoded | None" = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and structs.astuple(self)[:-1] == structs.astuple(other)[:-1]

    def __hash__(self) -> int:
        return hash((self.partition, self.offset))


class Decoded(Struct, frozen=True, gc=False):
    """The message in a record, and the parts of the record that it was read from."""

    value: bytes
    headers: Headers
    message: Any

    def is_of(self, record: Record) -> bool:
        """Return whether this is the message of a record, and not of one that the record was made from."""
        return self.value is record.value and self.headers is record.headers


class Committed(Struct, frozen=True):
    """A committed offset: the next offset to read, and its metadata."""

    offset: int
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a consumer group: the name of its process and its assignment."""

    name: str
    owned: frozenset[Partition]


Offsets = Mapping[Partition, Committed]
Listener = Callable[[frozenset[Partition]], Awaitable[None]]


class Producer(Protocol):
    """Writes records outside transactions."""

    async def send(self, records: Sequence[NewRecord]) -> None:
        """Write records, in order within each partition, and wait until all are acknowledged.

        Raises:
            TopicMissingError, RecordTooLargeError: nothing of this call was written.
        """
        ...


class TransactionalProducer(Protocol):
    """Writes records and group offsets atomically.

    After any error but `FencedError`, only `abort` is allowed. If the log itself has failed, that abort is a last
    attempt and every later `begin` raises: the caller has to open the transactional id again.
    """

    async def begin(self) -> None:
        """Begin a transaction; a producer has at most one open."""
        ...

    async def send(self, records: Sequence[NewRecord]) -> None:
        """Write records in the transaction; a failure here makes `commit` raise."""
        ...

    async def send_offsets(self, group: str, offsets: Offsets) -> None:
        """Add the offsets of a group, one for each transaction; they are committed with it."""
        ...

    async def commit(self) -> None:
        """Commit the transaction.

        Raises:
            FencedError: another producer opened the same id; nothing was committed.
            OutcomeUnknownError: no response came; only a rebuild from the log shows whether it was committed.
        """
        ...

    async def abort(self) -> None:
        """Abort the transaction: discard its records and offsets."""
        ...


class Reader(Protocol):
    """Reads partitions that the caller names, outside any consumer group."""

    async def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        """Return records in order within each partition, or an empty list if none arrive within `timeout_s`."""
        ...

    def position(self, partition: Partition) -> int:
        """Return the next offset to read; it skips the markers of ended transactions."""
        ...

    def seek(self, partition: Partition, offset: int) -> None:
        """Set the next offset to read."""
        ...


class GroupMember(Protocol):
    """A member of a consumer group; rebalances change its assignment as members join and leave."""

    async def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        """Return records as `Reader.poll` does, from the current assignment; take part in rebalances.

        `max_records` may be 0, for rebalances alone. The group expels a member that does not poll for too long and
        assigns its partitions to others.
        """
        ...

    def position(self, partition: Partition) -> int:
        """Return the next offset to read of an assigned partition."""
        ...

    def assignment(self) -> frozenset[Partition]:
        """Return the partitions that are assigned to this member now.

        While `on_revoked` and `on_assigned` run, an adapter may return the earlier assignment or already the new one.
        """
        ...

    def pause(self, partitions: frozenset[Partition]) -> None:
        """Return no records of these partitions in polls, until the next call; those of all others are returned."""
        ...

    def is_sure(self) -> bool:
        """Return whether the group cannot have given the partitions to others by now.

        A member that has not heard of its group for a session is not sure, nor is one that was expelled.
        """
        ...

    async def commit(self, offsets: Offsets) -> None:
        """Commit offsets of assigned partitions.

        Raises:
            IllegalGenerationError: the group has rebalanced; nothing was committed.
        """
        ...


class Broker(Protocol):
    """An implementation of the log. Leaving the context of a thing it opened closes that thing in bounded time."""

    async def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        """Create the topics that do not exist; leave the others as they are."""
        ...

    async def partitions(self, topic: str) -> int:
        """Return the number of partitions of a topic.

        Raises:
            TopicMissingError: there is no such topic.
        """
        ...

    async def topic_ids(self, topics: Sequence[str]) -> Mapping[str, str]:
        """Return an id of each of these topics that exists; a topic that is deleted and created again gets another.

        A broker that never deletes a topic may have no ids, and returns none.
        """
        ...

    async def check_rights(self, reads: Sequence[str], writes: Sequence[str]) -> None:
        """Check, before anything is paid for, that this process may read and write these topics.

        Raises:
            NotAuthorizedError: it may not.
            TopicMissingError: there is no such topic.
        """
        ...

    def producer(self) -> AbstractAsyncContextManager[Producer]:
        """Open a producer that writes without transactions."""
        ...

    def transactional_producer(self, transactional_id: str) -> AbstractAsyncContextManager[TransactionalProducer]:
        """Open a transactional id: fence its previous producer and end the transaction that one left open."""
        ...

    def reader(self, partitions: Sequence[Partition]) -> AbstractAsyncContextManager[Reader]:
        """Open a reader at the beginning of each partition."""
        ...

    def group_member(
        self, group: str, topics: Sequence[str], on_revoked: Listener, on_assigned: Listener
    ) -> AbstractAsyncContextManager[GroupMember]:
        """Join a group; a partition starts at the group's committed offset, else at its beginning.

        `on_revoked` is awaited while the broker still accepts commits for the revoked partitions. `on_assigned` is
        awaited before `poll` returns the first record of the new assignment.
        """
        ...

    async def committed(self, group: str, partition: Partition) -> Committed | None:
        """Return the committed offset of a group for a partition, or `None` if there is none."""
        ...

    async def committed_offsets(self, group: str, partitions: Sequence[Partition]) -> Offsets:
        """Return the committed offsets of a group for those of the partitions that have one, in one request."""
        ...

    async def members(self, group: str) -> Sequence[Member]:
        """Return the current members of a group; one that died is listed until its session times out."""
        ...

    async def end_offset(self, partition: Partition, isolation: Isolation) -> int:
        """Return the offset after the last record; if read-committed, after the last record that a reader may see."""
        ...

    async def end_offsets(self, partitions: Sequence[Partition], isolation: Isolation) -> Mapping[Partition, int]:
        """Return the `end_offset` of each partition, with one request to each broker that leads some of them."""
        ...
