"""A broker that stands still for longer than a request may take, or refuses a batch, while a process writes to it."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import anyio
import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from anyio import to_thread

from service.adapters.kafka import KafkaBroker, KafkaOptions
from service.adapters.kafka.authorization import Right
from service.adapters.kafka.clients import ProducerClient
from service.adapters.kafka.cluster import Cluster as Brokers
from service.errors import OutcomeUnknownError, RecordTooLargeError, TopicMissingError
from service.messaging.broker import NewRecord, Partition, TopicSpec
from tests.contract.logs import read_all
from tests.kafka.cluster import Cluster

pytestmark = [pytest.mark.kafka, pytest.mark.anyio, pytest.mark.timeout(120)]

_REQUEST_S = 2.0
_STALL_S = 5 * _REQUEST_S
_GONE_S = 30.0
_CALLS = 200
_LARGE_BYTES = 8_000
_REFUSED_BYTES = 60_000
_LIMIT_BYTES = 50_000
_MARGIN_S = 6.0


def options_of(own_kafka: Cluster) -> KafkaOptions:
    return KafkaOptions(
        bootstrap=own_kafka.bootstrap,
        compression=None,
        request_timeout_s=_REQUEST_S,
        transaction_timeout_s=_REQUEST_S,
        gone_after_s=_GONE_S,
    )


@asynccontextmanager
async def paused(own_kafka: Cluster) -> AsyncIterator[None]:
    await to_thread.run_sync(own_kafka.pause, 0)
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(own_kafka.resume, 0)


@asynccontextmanager
async def topic_at(own_kafka: Cluster) -> AsyncIterator[tuple[KafkaBroker, str]]:
    topic = uuid4().hex[:8]
    async with KafkaBroker.open(options_of(own_kafka)) as opened:
        await opened.create_topics([TopicSpec(topic, 1)])
        yield opened, topic


async def test_every_call_survives_a_stall_of_the_broker(own_kafka: Cluster) -> None:
    """The buffer of a partition is full long before the stall ends, and the requests under way get no answer."""
    values = [f"{number:04}".encode() * (_LARGE_BYTES // 4) for number in range(_CALLS)]
    async with topic_at(own_kafka) as (opened, topic), opened.producer() as producer:
        await producer.send([NewRecord(topic, b"first")])
        async with anyio.create_task_group() as calls, paused(own_kafka):
            for value in values:
                calls.start_soon(producer.send, [NewRecord(topic, value)])
            await anyio.sleep(_STALL_S)
        written = {record.value for record in await read_all(opened, Partition(topic, 0))}
    assert written == {b"first", *values}


async def test_a_refused_record_fails_its_own_call_alone(own_kafka: Cluster) -> None:
    """The broker refuses whole batches, which hold records of several calls, and then whatever the client sends."""
    small = [f"{number:04}".encode() * (_LARGE_BYTES // 4) for number in range(40)]
    refused: list[RecordTooLargeError] = []
    async with topic_at(own_kafka) as (opened, topic), opened.producer() as producer:
        await _limit_size(own_kafka, topic)

        async def send_too_large() -> None:
            with pytest.raises(RecordTooLargeError, match=f"{topic}: .*{_REFUSED_BYTES} bytes") as caught:
                await producer.send([NewRecord(topic, b"x" * _REFUSED_BYTES)])
            refused.append(caught.value)

        async with anyio.create_task_group() as calls:
            for number, value in enumerate(small):
                calls.start_soon(producer.send, [NewRecord(topic, value)])
                if number == len(small) // 2:
                    calls.start_soon(send_too_large)
        written = {record.value for record in await read_all(opened, Partition(topic, 0))}
    assert written == set(small)
    assert len(refused) == 1


async def test_a_send_to_a_deleted_topic_says_so(own_kafka: Cluster) -> None:
    async with topic_at(own_kafka) as (opened, topic), opened.producer() as producer:
        await producer.send([NewRecord(topic, b"before")])
        async with Brokers.open(options_of(own_kafka)) as brokers:
            await brokers.admin.delete_topics([topic])
        with anyio.fail_after(_GONE_S - _MARGIN_S), pytest.raises(TopicMissingError, match=topic):
            await producer.send([NewRecord(topic, b"after")])


async def test_a_commit_without_an_answer_ends_at_its_deadline(own_kafka: Cluster) -> None:
    async with topic_at(own_kafka) as (opened, topic):
        async with opened.transactional_producer(topic) as producer:
            await producer.begin()
            await producer.send([NewRecord(topic, b"written")])
            async with paused(own_kafka):
                began = anyio.current_time()
                with pytest.raises(OutcomeUnknownError):
                    await producer.commit()
                assert anyio.current_time() - began < _REQUEST_S + _MARGIN_S
        assert anyio.current_time() - began < _REQUEST_S + 2 * _MARGIN_S


@pytest.mark.parametrize("ending", [ProducerClient.stop, ProducerClient.drop])
async def test_a_fenced_producer_ends_without_an_error(
    own_kafka: Cluster, ending: Callable[[ProducerClient], Coroutine[Any, Any, None]]
) -> None:
    """The step that is under way when the producer is stopped gets the answer that another producer took over."""
    async with topic_at(own_kafka) as (_, topic):
        first, second = await _client(own_kafka, topic), ProducerClient(options_of(own_kafka), transactional_id=topic)
        await first.kafka.begin_transaction()
        await first.kafka.send_and_wait(topic, b"written")
        await second.start("a producer id", Right("WRITE", "transactional id", topic))
        first.kafka._txn_manager.committing_transaction()  # noqa: SLF001 - its commit is on the way
        await ending(first)
        await second.stop()


async def _client(own_kafka: Cluster, transactional_id: str) -> ProducerClient:
    client = ProducerClient(options_of(own_kafka), transactional_id=transactional_id)
    await client.start("a producer id", Right("WRITE", "transactional id", transactional_id))
    return client


async def _limit_size(own_kafka: Cluster, topic: str) -> None:
    async with Brokers.open(options_of(own_kafka)) as brokers:
        limit = {"max.message.bytes": str(_LIMIT_BYTES)}
        await brokers.admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, limit)])
