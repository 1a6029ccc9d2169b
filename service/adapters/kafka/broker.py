"""The broker port on Apache Kafka."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from service.adapters.kafka import group_state, topics
from service.adapters.kafka.cluster import Cluster
from service.adapters.kafka.groups import KafkaGroupMember
from service.adapters.kafka.options import KafkaOptions
from service.adapters.kafka.producers import KafkaProducer
from service.adapters.kafka.readers import KafkaReader
from service.adapters.kafka.transactions import KafkaTransactionalProducer
from service.messaging.broker import Committed, Isolation, Listener, Member, Offsets, Partition, TopicSpec


class KafkaBroker:
    """A connection to a Kafka cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    @classmethod
    @asynccontextmanager
    async def open(cls, options: KafkaOptions) -> "AsyncIterator[KafkaBroker]":
        """Connect to a cluster.

        Raises:
            BrokerError: no broker answers at the address.
            BrokersGoneError: inside the block, no broker has answered for `gone_after_s`.
        """
        async with Cluster.open(options) as cluster:
            yield cls(cluster)

    async def create_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Create the topics that do not exist yet, and wait until every broker knows their leaders."""
        await topics.create(self._cluster, specs)

    async def describe_topics(self, names: Sequence[str]) -> list[topics.TopicState]:
        """Return the state of each topic that exists; missing topics are left out."""
        return await topics.describe(self._cluster, names)

    async def broker_setting(self, name: str) -> str | None:
        """Return a setting of the brokers, `None` if this client may not see it."""
        return await topics.broker_setting(self._cluster, name)

    async def topic_names(self) -> list[str]:
        """Return the names of all topics that this client may see, sorted."""
        return sorted(await self._cluster.topics())

    async def partitions(self, topic: str) -> int:
        return await self._cluster.width(topic)

    async def topic_ids(self, names: Sequence[str]) -> Mapping[str, str]:
        """Return the id of each of these topics that exists."""
        return await topics.identify(self._cluster, names)

    async def check_rights(self, reads: Sequence[str], writes: Sequence[str]) -> None:
        """Ask the brokers what this client may do; nothing is written. Brokers without an authorizer allow all."""
        await self._cluster.check_rights([("READ", topic) for topic in reads] + [("WRITE", topic) for topic in writes])

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[KafkaProducer]:
        """Open a producer without transactions."""
        producer = KafkaProducer(self._cluster)
        try:
            yield producer
        finally:
            await producer.close()

    def transactional_producer(self, transactional_id: str) -> AbstractAsyncContextManager[KafkaTransactionalProducer]:
        """Open a transactional producer; it fences the previous producer with the same id."""
        return KafkaTransactionalProducer.open(self._cluster, transactional_id)

    def reader(self, partitions: Sequence[Partition]) -> AbstractAsyncContextManager[KafkaReader]:
        """Open a reader at the beginning of each partition."""
        return KafkaReader.open(self._cluster, partitions)

    def group_member(
        self, group: str, topics: Sequence[str], on_revoked: Listener, on_assigned: Listener
    ) -> AbstractAsyncContextManager[KafkaGroupMember]:
        """Join a consumer group."""
        return KafkaGroupMember.open(self._cluster, group, topics, on_revoked, on_assigned)

    async def committed(self, group: str, partition: Partition) -> Committed | None:
        """Return the offset and metadata that a group has committed for a partition, None if it has committed none."""
        return (await group_state.committed_offsets(self._cluster, group, [partition])).get(partition)

    async def committed_offsets(self, group: str, partitions: Sequence[Partition]) -> Offsets:
        """Return the committed offsets of a group for those of the partitions that have one."""
        return await group_state.committed_offsets(self._cluster, group, partitions)

    async def members(self, group: str) -> Sequence[Member]:
        return await group_state.members(self._cluster, group)

    async def begin_offsets(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """Return the offset of the first record that is left of each partition; 0 if nothing was ever deleted."""
        return await self._cluster.begin_offsets(partitions)

    async def end_offset(self, partition: Partition, isolation: Isolation) -> int:
        """Return the offset behind the last record; if read-committed, behind the last stable one."""
        return (await self._cluster.end_offsets([partition], isolation))[partition]

    async def end_offsets(self, partitions: Sequence[Partition], isolation: Isolation) -> Mapping[Partition, int]:
        """Return the `end_offset` of each partition."""
        return await self._cluster.end_offsets(partitions, isolation)
