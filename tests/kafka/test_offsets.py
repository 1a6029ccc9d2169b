"""Questions for the places of records on Kafka: few requests, however many topics there are, and no fixed waits."""

from collections import Counter
from uuid import uuid4

import pytest

from service.adapters.kafka import KafkaBroker, KafkaOptions
from service.messaging import topics
from service.messaging.broker import Isolation, NewRecord, Partition, TopicSpec
from service.messaging.dead_letters import DEAD_LETTER_TOPICS
from service.messaging.topic_reader import Tail
from tests.kafka.cluster import Cluster
from tests.kafka.requests import count_of

pytestmark = [pytest.mark.kafka, pytest.mark.anyio, pytest.mark.timeout(100)]

_TOPICS = 12


def options(cluster: Cluster) -> KafkaOptions:
    return KafkaOptions(bootstrap=cluster.bootstrap)


async def fresh_topics(broker: KafkaBroker, count: int) -> list[Partition]:
    """Return partitions of new topics, whose leaders have begun to lead."""
    names = [f"offsets-{uuid4().hex[:8]}" for _ in range(count)]
    await broker.create_topics([TopicSpec(name, 2) for name in names])
    partitions = [Partition(name, number) for name in names for number in range(2)]
    await broker.end_offsets(partitions, Isolation.READ_COMMITTED)
    return partitions


@pytest.mark.parametrize("isolation", list(Isolation))
async def test_the_ends_of_many_topics_are_one_question(
    kafka: Cluster, requests: Counter[str], isolation: Isolation
) -> None:
    async with KafkaBroker.open(options(kafka)) as broker:
        partitions = await fresh_topics(broker, _TOPICS)
        async with broker.producer() as producer:
            await producer.send([NewRecord(partitions[0].topic, b"x", partition=0)])
    async with KafkaBroker.open(options(kafka)) as broker:
        await broker.partitions(partitions[0].topic)
        requests.clear()
        ends = await broker.end_offsets(partitions, isolation)
    assert list(ends.values()) == [1, *[0] * (2 * _TOPICS - 1)]
    assert count_of(requests, "Offset") == 1, requests
    # aiokafka's client asks again for all topics when it closes its first connection.
    assert count_of(requests, "Metadata") <= 1, requests


async def test_a_reader_fetches_nothing_before_its_first_poll(kafka: Cluster, requests: Counter[str]) -> None:
    async with KafkaBroker.open(options(kafka)) as broker:
        partitions = await fresh_topics(broker, 1)
        records = [NewRecord(partitions[0].topic, text, partition=0) for text in (b"a", b"b")]
        async with broker.producer() as producer:
            await producer.send(records)
        async with broker.reader(partitions) as reader:
            for _ in range(20):  # time in which a fetch would begin
                await broker.end_offsets(partitions, Isolation.READ_COMMITTED)
            assert count_of(requests, "Fetch") == 0, requests
            reader.seek(partitions[0], 1)
            found = await reader.poll(10, 30.0)
    assert [record.value for record in found] == [b"b"]


async def test_marks_of_dead_letters_are_one_question(kafka: Cluster, requests: Counter[str]) -> None:
    run = f"letters-{uuid4().hex[:8]}"
    async with KafkaBroker.open(options(kafka)) as broker:
        await broker.create_topics(topics.specs(run, 4))
        async with Tail.of(broker, run, DEAD_LETTER_TOPICS):
            pass  # the first question may come before Kafka has a coordinator for the group
        requests.clear()
        async with Tail.of(broker, run, DEAD_LETTER_TOPICS):
            pass
    assert count_of(requests, "OffsetFetch") == 1, requests
