"""Kafka readers with manual assignment of partitions.

Positions are set before the first read, so that aiokafka never has to look one up. They are recorded after each poll,
when they have passed the markers of transactions. aiokafka does not decode values: it would get stuck at one that it
cannot decode.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from anyio import lowlevel

from service.adapters.kafka.aiokafka_workarounds import against_stray_cancellation
from service.adapters.kafka.authorization import Right
from service.adapters.kafka.cluster import Cluster, as_keys
from service.adapters.kafka.patient_consumer import PatientConsumer
from service.errors import BrokerError, OutcomeUnknownError
from service.messaging.broker import Isolation, Partition, Record

_STOP_S = 10.0
_CLOSE_S = 2.0
_POSITION_S = 5.0

log = structlog.get_logger()


def new_consumer(cluster: Cluster, **more: object) -> PatientConsumer:
    """Return a read-committed consumer without auto-commit; `more` are further options of aiokafka."""
    return PatientConsumer(
        isolation_level=Isolation.READ_COMMITTED.value,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **cluster.options.client_options(),
        **more,
    )


async def stop(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer in bounded time; an error of its last requests is of no consequence."""
    is_stopped = False
    with anyio.CancelScope(shield=True):
        try:
            with anyio.move_on_after(_STOP_S), against_stray_cancellation("stopping"):
                await consumer.stop()
                is_stopped = True
        except (KafkaError, OutcomeUnknownError) as error:
            log.debug("kafka.stopped_with", error=repr(error))
        if not is_stopped:  # its connections are still open
            with suppress(KafkaError, OSError), anyio.move_on_after(_CLOSE_S):
                await consumer._client.close()  # noqa: SLF001 - `stop` does nothing the second time


async def fetch(
    cluster: Cluster, consumer: AIOKafkaConsumer, max_records: int, timeout_s: float, *needed: Right
) -> list[Record]:
    """Return the next records, up to `max_records`; an empty list if none comes within `timeout_s`.

    `needed` are the rights that reading needs.

    Raises:
        BrokerError: Kafka returned a permanent error.
    """
    await lowlevel.checkpoint()  # without one, polls that find nothing would starve the fetch task
    try:
        with against_stray_cancellation("reading"):
            found = await consumer.getmany(timeout_ms=round(timeout_s * 1000), max_records=max_records)
    except KafkaError as error:
        raise cluster.translated("reading", error, *needed) from error
    return [_record(each) for records in found.values() for each in records]


async def positions(consumer: AIOKafkaConsumer, partitions: Sequence[Partition]) -> dict[Partition, int]:
    """Return the next offset to read of each partition, without those whose position is not known in time."""
    found: dict[Partition, int] = {}
    try:
        with anyio.move_on_after(_POSITION_S):
            for partition, key in zip(partitions, as_keys(partitions), strict=True):
                with against_stray_cancellation("a position"):
                    found[partition] = await consumer.position(key)
    except KafkaError as error:
        raise BrokerError(f"positions of {', '.join(map(str, partitions))}: {error!r}") from error
    return found


class KafkaReader:
    """Reads manually assigned partitions."""

    def __init__(self, cluster: Cluster, consumer: AIOKafkaConsumer, starts: dict[Partition, int]) -> None:
        self._cluster = cluster
        self._consumer = consumer
        self._positions = starts
        self._fetched: list[Record] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, cluster: Cluster, partitions: Sequence[Partition]) -> "AsyncIterator[KafkaReader]":
        """Open a reader at the beginning of each partition."""
        begins = await cluster.begin_offsets(partitions)
        consumer = new_consumer(cluster)
        try:
            await cluster.ask("a connection", consumer.start)
            keys = as_keys(partitions)
            consumer.assign(keys)
            consumer.pause(*keys)  # until the first poll: some readers begin elsewhere
            for partition, key in zip(partitions, keys, strict=True):
                consumer.seek(key, begins[partition])
            yield cls(cluster, consumer, begins)
        finally:
            await stop(consumer)

    async def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        """Return records in order within each partition, an empty list if none comes within `timeout_s`."""
        if not self._fetched:  # a poll that was cancelled after its fetch leaves its records for the next one
            self._consumer.resume(*self._consumer.paused())
            self._fetched = await fetch(self._cluster, self._consumer, max_records, timeout_s)
        self._positions |= await positions(self._consumer, list(self._positions))
        records, self._fetched = self._fetched, []
        return records

    def position(self, partition: Partition) -> int:
        """Return the next offset to read of a partition."""
        return self._positions[partition]

    def seek(self, partition: Partition, offset: int) -> None:
        """Continue at this offset of a partition; records fetched ahead are dropped."""
        self._consumer.seek(TopicPartition(partition.topic, partition.number), offset)
        self._fetched = [record for record in self._fetched if record.partition != partition]
        self._positions[partition] = offset


def _record(found: ConsumerRecord) -> Record:
    return Record(
        partition=Partition(found.topic, found.partition),
        offset=found.offset,
        key=found.key,
        value=found.value,
        headers=tuple(found.headers),
        timestamp_ms=found.timestamp,
    )
