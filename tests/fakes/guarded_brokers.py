"""A wrapper of a real broker that refuses what an account has no right to, as Kafka's authorizer does."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from service.errors import BrokerError
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
    TopicSpec,
    TransactionalProducer,
)
from service.messaging.rights import Operation, Resource, Right


class DeniedError(BrokerError):
    """The account lacks a right."""


def covers(right: Right, resource: Resource, name: str, operation: Operation) -> bool:
    """Return whether a right allows an operation."""
    if resource is not right.resource or not (name.startswith(right.name) if right.prefixed else name == right.name):
        return False
    implied = operation is Operation.DESCRIBE and right.operation in (Operation.READ, Operation.WRITE)
    return implied or operation is right.operation


@dataclass(eq=False)
class GuardedBroker:
    """A real broker, as an account with these rights sees it. `used` are the rights that were needed."""

    real: Broker
    rights: Sequence[Right]
    used: set[Right]

    def check(self, resource: Resource, name: str, operation: Operation) -> None:
        covering = self._covering(resource, name, operation)
        self.used |= {right for right in covering if right.operation is operation} or covering

    async def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        for topic in topics:
            self.check(Resource.TOPIC, topic.name, Operation.CREATE)
        await self.real.create_topics(topics)

    async def partitions(self, topic: str) -> int:
        self.check(Resource.TOPIC, topic, Operation.DESCRIBE)
        return await self.real.partitions(topic)

    async def topic_ids(self, topics: Sequence[str]) -> Mapping[str, str]:
        for topic in topics:
            self.check(Resource.TOPIC, topic, Operation.DESCRIBE)
        return await self.real.topic_ids(topics)

    def _covering(self, resource: Resource, name: str, operation: Operation) -> set[Right]:
        covering = {right for right in self.rights if covers(right, resource, name, operation)}
        if not covering:
            raise DeniedError(f"{operation} on {resource} {name} is denied")
        return covering

    async def check_rights(self, reads: Sequence[str], writes: Sequence[str]) -> None:
        """Check rights without a use of them."""
        for operation, names in ((Operation.READ, reads), (Operation.WRITE, writes)):
            for topic in names:
                self._covering(Resource.TOPIC, topic, operation)
        await self.real.check_rights(reads, writes)

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[Producer]:
        async with self.real.producer() as producer:
            yield _GuardedProducer(producer, self)

    @asynccontextmanager
    async def transactional_producer(self, transactional_id: str) -> AsyncIterator[TransactionalProducer]:
        self.check(Resource.TRANSACTIONAL_ID, transactional_id, Operation.WRITE)
        async with self.real.transactional_producer(transactional_id) as producer:
            yield _GuardedTransactionalProducer(producer, self)

    def reader(self, partitions: Sequence[Partition]) -> AbstractAsyncContextManager[Reader]:
        for partition in partitions:
            self.check(Resource.TOPIC, partition.topic, Operation.READ)
        return self.real.reader(partitions)

    def group_member(
        self, group: str, topics: Sequence[str], on_revoked: Listener, on_assigned: Listener
    ) -> AbstractAsyncContextManager[GroupMember]:
        self.check(Resource.GROUP, group, Operation.READ)
        for topic in topics:
            self.check(Resource.TOPIC, topic, Operation.READ)
        return self.real.group_member(group, topics, on_revoked, on_assigned)

    async def committed(self, group: str, partition: Partition) -> Committed | None:
        self.check(Resource.GROUP, group, Operation.DESCRIBE)
        self.check(Resource.TOPIC, partition.topic, Operation.DESCRIBE)
        return await self.real.committed(group, partition)

    async def committed_offsets(self, group: str, partitions: Sequence[Partition]) -> Offsets:
        self.check(Resource.GROUP, group, Operation.DESCRIBE)
        for topic in {partition.topic for partition in partitions}:
            self.check(Resource.TOPIC, topic, Operation.DESCRIBE)
        return await self.real.committed_offsets(group, partitions)

    async def members(self, group: str) -> Sequence[Member]:
        self.check(Resource.GROUP, group, Operation.DESCRIBE)
        return await self.real.members(group)

    async def end_offset(self, partition: Partition, isolation: Isolation) -> int:
        self.check(Resource.TOPIC, partition.topic, Operation.DESCRIBE)
        return await self.real.end_offset(partition, isolation)

    async def end_offsets(self, partitions: Sequence[Partition], isolation: Isolation) -> Mapping[Partition, int]:
        for topic in {partition.topic for partition in partitions}:
            self.check(Resource.TOPIC, topic, Operation.DESCRIBE)
        return await self.real.end_offsets(partitions, isolation)


@dataclass
class _GuardedProducer:
    real: Producer
    broker: GuardedBroker

    async def send(self, records: Sequence[NewRecord]) -> None:
        for record in records:
            self.broker.check(Resource.TOPIC, record.topic, Operation.WRITE)
        await self.real.send(records)


@dataclass
class _GuardedTransactionalProducer:
    real: TransactionalProducer
    broker: GuardedBroker

    async def begin(self) -> None:
        await self.real.begin()

    async def send(self, records: Sequence[NewRecord]) -> None:
        for record in records:
            self.broker.check(Resource.TOPIC, record.topic, Operation.WRITE)
        await self.real.send(records)

    async def send_offsets(self, group: str, offsets: Offsets) -> None:
        self.broker.check(Resource.GROUP, group, Operation.READ)
        for partition in offsets:
            self.broker.check(Resource.TOPIC, partition.topic, Operation.READ)
        await self.real.send_offsets(group, offsets)

    async def commit(self) -> None:
        await self.real.commit()

    async def abort(self) -> None:
        await self.real.abort()
