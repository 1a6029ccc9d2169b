"""A broker shared by many tests. Each test has its own topics, groups and transactional ids."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from msgspec import structs

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


@dataclass(eq=False)
class Namespaced:
    """A wrapper of the real broker that adds a prefix to names."""

    real: Broker
    prefix: str

    async def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        await self.real.create_topics([replace(topic, name=self.prefix + topic.name) for topic in topics])

    async def partitions(self, topic: str) -> int:
        return await self.real.partitions(self.prefix + topic)

    async def topic_ids(self, topics: Sequence[str]) -> Mapping[str, str]:
        found = await self.real.topic_ids([self.prefix + topic for topic in topics])
        return {name.removeprefix(self.prefix): each for name, each in found.items()}

    async def check_rights(self, reads: Sequence[str], writes: Sequence[str]) -> None:
        await self.real.check_rights(
            reads=[self.prefix + topic for topic in reads], writes=[self.prefix + topic for topic in writes]
        )

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[Producer]:
        async with self.real.producer() as producer:
            yield _NamespacedProducer(producer, self)

    @asynccontextmanager
    async def transactional_producer(self, transactional_id: str) -> AsyncIterator[TransactionalProducer]:
        async with self.real.transactional_producer(self.prefix + transactional_id) as producer:
            yield _NamespacedTransactions(producer, self)

    @asynccontextmanager
    async def reader(self, partitions: Sequence[Partition]) -> AsyncIterator[Reader]:
        async with self.real.reader([self.inside(partition) for partition in partitions]) as reader:
            yield _NamespacedReader(reader, self)

    @asynccontextmanager
    async def group_member(
        self, group: str, topics: Sequence[str], on_revoked: Listener, on_assigned: Listener
    ) -> AsyncIterator[GroupMember]:
        names = [self.prefix + topic for topic in topics]
        opened = self.real.group_member(
            self.prefix + group, names, self._outside(on_revoked), self._outside(on_assigned)
        )
        async with opened as member:
            yield _NamespacedMember(member, self)

    async def committed(self, group: str, partition: Partition) -> Committed | None:
        return await self.real.committed(self.prefix + group, self.inside(partition))

    async def committed_offsets(self, group: str, partitions: Sequence[Partition]) -> Offsets:
        inside = {self.inside(partition): partition for partition in partitions}
        found = await self.real.committed_offsets(self.prefix + group, list(inside))
        return {inside[partition]: committed for partition, committed in found.items()}

    async def members(self, group: str) -> Sequence[Member]:
        found = await self.real.members(self.prefix + group)
        return [replace(each, owned=self.outside(each.owned)) for each in found]

    async def end_offset(self, partition: Partition, isolation: Isolation) -> int:
        return await self.real.end_offset(self.inside(partition), isolation)

    async def end_offsets(self, partitions: Sequence[Partition], isolation: Isolation) -> Mapping[Partition, int]:
        inside = {self.inside(partition): partition for partition in partitions}
        found = await self.real.end_offsets(list(inside), isolation)
        return {inside[partition]: end for partition, end in found.items()}

    def inside(self, partition: Partition) -> Partition:
        return Partition(self.prefix + partition.topic, partition.number)

    def outside(self, partitions: frozenset[Partition]) -> frozenset[Partition]:
        return frozenset(Partition(each.topic.removeprefix(self.prefix), each.number) for each in partitions)

    def records(self, records: Sequence[NewRecord]) -> list[NewRecord]:
        return [structs.replace(record, topic=self.prefix + record.topic) for record in records]

    def found(self, records: Sequence[Record]) -> list[Record]:
        names = {record.partition: record.partition.topic.removeprefix(self.prefix) for record in records}
        return [
            structs.replace(each, partition=Partition(names[each.partition], each.partition.number)) for each in records
        ]

    def offsets(self, offsets: Offsets) -> Offsets:
        return {self.inside(partition): committed for partition, committed in offsets.items()}

    def _outside(self, listener: Listener) -> Listener:
        async def listen(partitions: frozenset[Partition]) -> None:
            await listener(self.outside(partitions))

        return listen


@dataclass
class _NamespacedProducer:
    real: Producer
    names: Namespaced

    async def send(self, records: Sequence[NewRecord]) -> None:
        await self.real.send(self.names.records(records))


@dataclass
class _NamespacedTransactions:
    real: TransactionalProducer
    names: Namespaced

    async def begin(self) -> None:
        await self.real.begin()

    async def send(self, records: Sequence[NewRecord]) -> None:
        await self.real.send(self.names.records(records))

    async def send_offsets(self, group: str, offsets: Offsets) -> None:
        await self.real.send_offsets(self.names.prefix + group, self.names.offsets(offsets))

    async def commit(self) -> None:
        await self.real.commit()

    async def abort(self) -> None:
        await self.real.abort()


@dataclass
class _NamespacedReader:
    real: Reader
    names: Namespaced

    async def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        return self.names.found(await self.real.poll(max_records, timeout_s))

    def position(self, partition: Partition) -> int:
        return self.real.position(self.names.inside(partition))

    def seek(self, partition: Partition, offset: int) -> None:
        self.real.seek(self.names.inside(partition), offset)


@dataclass
class _NamespacedMember:
    real: GroupMember
    names: Namespaced

    async def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        return self.names.found(await self.real.poll(max_records, timeout_s))

    def position(self, partition: Partition) -> int:
        return self.real.position(self.names.inside(partition))

    def assignment(self) -> frozenset[Partition]:
        return self.names.outside(self.real.assignment())

    def pause(self, partitions: frozenset[Partition]) -> None:
        self.real.pause(frozenset(map(self.names.inside, partitions)))

    def is_sure(self) -> bool:
        return self.real.is_sure()

    async def commit(self, offsets: Offsets) -> None:
        await self.real.commit(self.names.offsets(offsets))
