"""The acts of an operator, or of time, on a run's topics and groups on Kafka: delete records, topics and offsets."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import for_code
from aiokafka.protocol.admin import DeleteGroupsRequest

from service.adapters.kafka import KafkaBroker, KafkaOptions
from service.messaging.broker import Committed, NewRecord, Partition
from service.messaging.record_size import MAX_RECORD_BYTES

_DEADLINE_S = 60.0


@asynccontextmanager
async def _client(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        with anyio.fail_after(_DEADLINE_S):
            yield client
    finally:
        await client.close()


def delete_groups(bootstrap: str, *groups: str) -> None:
    """Delete groups without members with their committed offsets, as Kafka does after a week."""

    async def delete() -> None:
        async with _client(bootstrap) as client:
            for group in groups:
                coordinator = await client.find_coordinator(group)
                while True:
                    answer = await client._send_request(DeleteGroupsRequest([group]), coordinator)  # noqa: SLF001
                    ((_, code),) = answer.results
                    if not code or for_code(code).__name__ == "GroupIdNotFound":
                        break
                    assert for_code(code).__name__ == "NonEmptyGroupError", for_code(code)
                    await anyio.sleep(0.1)

    anyio.run(delete)


def delete_records(bootstrap: str, befores: Mapping[Partition, int]) -> None:
    """Delete the records of partitions below an offset, as retention does."""
    wanted = {
        TopicPartition(partition.topic, partition.number): RecordsToDelete(before_offset=before)
        for partition, before in befores.items()
    }

    async def delete() -> None:
        async with _client(bootstrap) as client:
            await client.delete_records(wanted)

    anyio.run(delete)


def delete_topic(bootstrap: str, topic: str) -> None:
    """Delete a topic, and wait until it is gone."""

    async def delete() -> None:
        async with _client(bootstrap) as client:
            await client.delete_topics([topic])
            while topic in await client.list_topics():  # noqa: ASYNC110 - nothing says when
                await anyio.sleep(0.05)

    anyio.run(delete)


def commit_offset(bootstrap: str, group: str, offset: int, *partitions: Partition) -> None:
    """Commit an offset for a group without members, as `kafka-consumer-groups.sh --reset-offsets` does."""

    async def commit() -> None:
        async with (
            KafkaBroker.open(KafkaOptions(bootstrap=bootstrap)) as broker,
            broker.transactional_producer("operator") as producer,
        ):
            await producer.begin()
            await producer.send_offsets(group, dict.fromkeys(partitions, Committed(offset)))
            await producer.commit()

    anyio.run(commit)


def write_foreign(bootstrap: str, topic: str, size: int) -> None:
    """Write a record of another program, which compression may make fit its topic."""

    async def write() -> None:
        options = KafkaOptions(bootstrap=bootstrap, compression="gzip", max_record_bytes=size + MAX_RECORD_BYTES)
        async with KafkaBroker.open(options) as broker, broker.producer() as producer:
            await producer.send([NewRecord(topic, b"x" * size, key=b"stranger")])

    anyio.run(write)
