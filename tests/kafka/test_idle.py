"""Consumers on Kafka while nothing is written: they cost little, and see the next records at once."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import anyio
import pytest

from service.adapters.kafka import KafkaBroker, KafkaOptions
from service.messaging import topics
from service.messaging.broker import Committed, GroupMember, NewRecord, Partition, Record, TopicSpec
from service.pipeline.role import Role
from service.pipeline.stall import read_waiting
from service.runtime.assignment import ends_of
from tests.kafka.cluster import Cluster
from tests.kafka.requests import count_of
from tests.support.logs import DEADLINE_S

pytestmark = [pytest.mark.kafka, pytest.mark.anyio]

_IDLE_S = 4.0
_COUNTED_S = 5.0
# Far less than a fetch of an idle consumer may last.
_SOON_S = 4.0
_PARTITIONS = 3


@asynccontextmanager
async def opened(kafka: Cluster) -> AsyncIterator[tuple[KafkaBroker, str]]:
    topic = f"idle-{uuid4().hex[:8]}"
    async with KafkaBroker.open(KafkaOptions(bootstrap=kafka.bootstrap)) as broker:
        await broker.create_topics([TopicSpec(topic, _PARTITIONS)])
        with anyio.fail_after(2 * DEADLINE_S):
            yield broker, topic


def partitions_of(topic: str) -> list[Partition]:
    return [Partition(topic, number) for number in range(_PARTITIONS)]


async def test_an_idle_reader_sends_hardly_any_request(kafka: Cluster, requests: Counter[str]) -> None:
    async with opened(kafka) as (broker, topic), broker.reader(partitions_of(topic)) as reader:
        assert await reader.poll(10, _IDLE_S) == []
        requests.clear()
        for _ in range(5):
            assert await reader.poll(10, _COUNTED_S / 5) == []
    assert requests.total() <= 3, requests


async def ignore(_: frozenset[Partition]) -> None:
    pass


async def poll_until(member: GroupMember, is_reached: Callable[[], bool]) -> list[Record]:
    found: list[Record] = []
    while not is_reached():
        found += await member.poll(10, 0.1)
    return found


@pytest.mark.parametrize("has_committed", [True, False])
async def test_an_idle_member_reads_gained_partitions_at_once(kafka: Cluster, *, has_committed: bool) -> None:
    async with (
        opened(kafka) as (broker, topic),
        broker.producer() as producer,
        broker.group_member(topic, [topic], ignore, ignore) as staying,
    ):
        if has_committed:
            async with broker.transactional_producer(topic) as committing:
                await committing.begin()
                await committing.send_offsets(topic, dict.fromkeys(partitions_of(topic), Committed(0)))
                await committing.commit()
        async with broker.group_member(topic, [topic], ignore, ignore) as leaving, anyio.create_task_group() as tasks:
            tasks.start_soon(poll_until, leaving, lambda: False)
            await poll_until(staying, lambda: bool(staying.assignment() and leaving.assignment()))
            with anyio.move_on_after(_IDLE_S):
                await poll_until(staying, lambda: False)
            moving = min(leaving.assignment())
            tasks.cancel_scope.cancel()
        left_s = anyio.current_time()
        await producer.send([NewRecord(topic, b"x", partition=moving.number)])
        await poll_until(staying, lambda: moving in staying.assignment() and staying.position(moving) > 0)
        assert anyio.current_time() - left_s < _SOON_S


async def test_a_member_without_interest_in_records_fetches_none(kafka: Cluster, requests: Counter[str]) -> None:
    async with opened(kafka) as (broker, topic), broker.group_member(topic, [topic], ignore, ignore) as member:
        while not member.assignment():
            await member.poll(0, 0.1)
        requests.clear()
        await member.poll(0, _COUNTED_S)
    assert count_of(requests, "Heartbeat") <= 4, requests
    assert count_of(requests, "Fetch") <= 1, requests


@pytest.mark.parametrize("pause_s", [0.0, 0.5])
async def test_an_idle_consumer_sees_the_next_records_at_once(kafka: Cluster, pause_s: float) -> None:
    async with (
        opened(kafka) as (broker, topic),
        broker.reader(partitions_of(topic)) as reader,
        broker.producer() as producer,
    ):
        await reader.poll(10, _IDLE_S)
        for text in (b"first", b"second", b"third"):
            await producer.send([NewRecord(topic, text, partition=0)])
            await anyio.sleep(pause_s)  # a reader that does not poll leaves a partition out of its next fetch
            found: list[Record] = []
            with anyio.fail_after(_SOON_S):
                while not found:
                    found = await reader.poll(10, 1.0)
            assert [record.value for record in found] == [text]


@pytest.mark.parametrize("width", [1, 8])
async def test_a_look_at_waiting_records_is_cheap(kafka: Cluster, requests: Counter[str], width: int) -> None:
    run = f"look-{uuid4().hex[:8]}"
    async with KafkaBroker.open(KafkaOptions(bootstrap=kafka.bootstrap)) as broker:
        await broker.create_topics(topics.specs(run, width))
        await read_waiting(broker, run)
        requests.clear()
        assert await read_waiting(broker, run) == {Role.PRODUCER: 0}
    assert count_of(requests, "Offset") <= 6, requests
    assert requests.total() <= 13, requests


async def test_the_ends_of_a_topic_take_one_request(kafka: Cluster, requests: Counter[str]) -> None:
    async with opened(kafka) as (broker, topic):
        await ends_of(broker, topic)
        requests.clear()
        assert await ends_of(broker, topic) == (0,) * _PARTITIONS
    assert count_of(requests, "Offset") == 1, requests
