"""Commits and checks that must not take a passing state of Kafka for a failure."""

from uuid import uuid4

import anyio
import pytest

from service.adapters.kafka import KafkaBroker, KafkaOptions
from service.errors import TopicMissingError
from service.messaging.broker import NewRecord, TopicSpec
from tests.kafka.cluster import Cluster

pytestmark = [pytest.mark.kafka, pytest.mark.anyio]

# As long as a commit waits for its records to become visible.
_REQUEST_TIMEOUT_S = 1.0


async def test_a_commit_hidden_by_another_transaction_is_not_late(kafka: Cluster) -> None:
    topic = f"hidden-{uuid4().hex[:8]}"
    options = KafkaOptions(bootstrap=kafka.bootstrap, request_timeout_s=_REQUEST_TIMEOUT_S)
    async with (
        KafkaBroker.open(options) as broker,
        broker.transactional_producer(f"{topic}-open") as hiding,
        broker.transactional_producer(topic) as producer,
    ):
        await broker.create_topics([TopicSpec(topic, 1)])
        await hiding.begin()
        await hiding.send([NewRecord(topic, b"open")])
        for _ in range(2):
            await producer.begin()
            await producer.send([NewRecord(topic, b"committed")])
            await producer.commit()


async def test_a_topic_is_missing_if_brokers_say_so_twice(kafka: Cluster) -> None:
    topic = f"late-{uuid4().hex[:8]}"
    async with KafkaBroker.open(KafkaOptions(bootstrap=kafka.bootstrap)) as broker:
        with pytest.raises(TopicMissingError, match=topic):
            await broker.check_rights(reads=[topic], writes=[topic])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(broker.create_topics, [TopicSpec(topic, 1)])
            await broker.check_rights(reads=[topic], writes=[topic])
