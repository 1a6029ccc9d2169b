"""Wrappers of real brokers that fail at a chosen commit, of a transaction or of a group's offsets, or at a poll."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto

from service.errors import BrokerError, IllegalGenerationError, OutcomeUnknownError
from service.messaging.broker import (
    Broker,
    Committed,
    GroupMember,
    Isolation,
    Listener,
    Member,
    NewRecord,
    Offsets,
    Partition,
    Producer,
    Reader,
    Record,
    TopicSpec,
    TransactionalProducer,
)


class Breakage(Enum):
    """The commit that fails: a transaction's, before it took effect or after it (its reply is lost), or a group's.

    With `POLL`, no commit fails, and a group member's polls do.
    """

    BEFORE = auto()
    AFTER = auto()
    GROUP = auto()
    POLL = auto()


@dataclass(eq=False)
class BreakingBroker:
    """A wrapper of a real broker whose commits fail after `commits_left` of them. A group's commit fails once."""

    real: Broker
    breakage: Breakage
    commits_left: int = 0

    async def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        await self.real.create_topics(topics)

    async def partitions(self, topic: str) -> int:
        return await self.real.partitions(topic)

    async def topic_ids(self, topics: Sequence[str]) -> Mapping[str, str]:
        return await self.real.topic_ids(topics)

    async def check_rights(self, reads: Sequence[str], writes: Sequence[str]) -> None:
        await self.real.check_rights(reads, writes)

    def producer(self) -> AbstractAsyncContextManager[Producer]:
        return self.real.producer()

    @asynccontextmanager
    async def transactional_producer(self, transactional_id: str) -> AsyncIterator[TransactionalProducer]:
        async with self.real.transactional_producer(transactional_id) as producer:
            yield _BreakingProducer(producer, self)

    def reader(self, partitions: Sequence[Partition]) -> AbstractAsyncContextManager[Reader]:
        return self.real.reader(partitions)

    @asynccontextmanager
    async def group_member(
        self, group: str, topics: Sequence[str], on_revoked: Listener, on_assigned: Listener
    ) -> AsyncIterator[GroupMember]:
        async with self.real.group_member(group, topics, on_revoked, on_assigned) as member:
            yield BreakingMember(member, self)

    async def committed(self, group: str, partition: Partition) -> Committed | None:
        return await self.real.committed(group, partition)

    async def committed_offsets(self, group: str, partitions: Sequence[Partition]) -> Offsets:
        return await self.real.committed_offsets(group, partitions)

    async def members(self, group: str) -> Sequence[Member]:
        return await self.real.members(group)

    async def end_offset(self, partition: Partition, isolation: Isolation) -> int:
        return await self.real.end_offset(partition, isolation)

    async def end_offsets(self, partitions: Sequence[Partition], isolation: Isolation) -> Mapping[Partition, int]:
        return await self.real.end_offsets(partitions, isolation)


@dataclass(eq=False)
class TruncatedBroker(BreakingBroker):
    """A wrapper of a real broker that has lost the records of some partitions below an offset."""

    begins: Mapping[Partition, int] = field(default_factory=dict)

    @asynccontextmanager
    async def reader(self, partitions: Sequence[Partition]) -> AsyncIterator[Reader]:
        async with self.real.reader(partitions) as reader:
            for partition in self.begins.keys() & set(partitions):
                reader.seek(partition, self.begins[partition])
            yield reader


@dataclass
class _BreakingProducer:
    real: TransactionalProducer
    broker: BreakingBroker

    async def begin(self) -> None:
        await self.real.begin()

    async def send(self, records: Sequence[NewRecord]) -> None:
        await self.real.send(records)

    async def send_offsets(self, group: str, offsets: Offsets) -> None:
        await self.real.send_offsets(group, offsets)

    async def commit(self) -> None:
        if self.broker.commits_left:
            self.broker.commits_left -= 1
            await self.real.commit()
        elif self.broker.breakage is Breakage.BEFORE:
            raise BrokerError("the log went away before the commit")
        else:
            await self.real.commit()
            raise OutcomeUnknownError("the log went away before its answer to the commit came")

    async def abort(self) -> None:
        await self.real.abort()


@dataclass
class BreakingMember:
    real: GroupMember
    broker: BreakingBroker

    async def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        if self.broker.breakage is Breakage.POLL:
            raise BrokerError("the log went away")
        return await self.real.poll(max_records, timeout_s)

    def position(self, partition: Partition) -> int:
        return self.real.position(partition)

    def assignment(self) -> frozenset[Partition]:
        return self.real.assignment()

    def pause(self, partitions: frozenset[Partition]) -> None:
        self.real.pause(partitions)

    def is_sure(self) -> bool:
        return self.real.is_sure()

    async def commit(self, offsets: Offsets) -> None:
        if self.broker.breakage is not Breakage.GROUP:
            await self.real.commit(offsets)
        elif self.broker.commits_left:
            self.broker.commits_left -= 1
            await self.real.commit(offsets)
        else:
            self.broker.breakage = Breakage.BEFORE
            raise IllegalGenerationError("the group has moved on")
