"""The broker port on Apache Kafka."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from service.adapters.kafka import topics
from service.adapters.kafka.cluster import Cluster
from service.adapters.kafka.groups import KafkaGroupMember
from service.adapters.kafka.options import KafkaOptions
from service.adapters.kafka.producers import KafkaProducer, KafkaTransactionalProducer
from service.adapters.kafka.readers import KafkaReader
from service.messaging.broker import Committed, Isolation, Listener, Member, Partition, TopicSpec


class KafkaBroker:
    """A Kafka cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    @classmethod
    @asynccontextmanager
    async def open(cls, options: KafkaOptions) -> "AsyncIterator[KafkaBroker]":
        """Connect to a cluster.

        Raises:
            BrokerError: nobody answers there.
            BrokersGoneError: later on, nobody has answered for too long.
        """
        async with Cluster.open(options) as cluster:
            yield cls(cluster)

    async def create_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Create the topics that do not exist yet."""
        await topics.create(self._cluster, specs)

    async def describe_topics(self, names: Sequence[str]) -> list[topics.TopicState]:
        """Return the state of those of the topics that exist."""
        return await topics.describe(self._cluster, names)

    async def topic_names(self) -> list[str]:
        """Return the names of all topics that we may know of."""
        return sorted(await self._cluster.topics())

    async def partitions(self, topic: str) -> int:
        """Return the number of partitions of a topic."""
        return await self._cluster.width(topic)

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[KafkaProducer]:
        """Open a producer."""
        producer = KafkaProducer(self._cluster)
        try:
            yield producer
        finally:
            await producer.close()

    def transactional_producer(self, transactional_id: str) -> AbstractAsyncContextManager[KafkaTransactionalProducer]:
        """Open a transactional id; fences its predecessor."""
        return KafkaTransactionalProducer.open(self._cluster, transactional_id)

    def reader(self, partitions: Sequence[Partition]) -> AbstractAsyncContextManager[KafkaReader]:
        """Open a reader at the beginning of each partition."""
        return KafkaReader.open(self._cluster, partitions)

    def group_member(
        self, group: str, topics: Sequence[str], on_revoked: Listener, on_assigned: Listener
    ) -> AbstractAsyncContextManager[KafkaGroupMember]:
        """Join a group."""
        return KafkaGroupMember.open(self._cluster, group, topics, on_revoked, on_assigned)

    async def committed(self, group: str, partition: Partition) -> Committed | None:
        """Return what the group has committed for the partition."""
        return await self._cluster.committed(group, partition)

    async def members(self, group: str) -> Sequence[Member]:
        """Return who is in a group now."""
        return await self._cluster.members(group)

    async def end_offset(self, partition: Partition, isolation: Isolation) -> int:
        """Return the offset behind the last record."""
        return (await self._cluster.end_offsets([partition], isolation))[partition]
