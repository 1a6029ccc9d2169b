"""Placing records on partitions, and handing them to a producer of aiokafka until the broker has acknowledged them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError, RecordListTooLargeError

from service.adapters.kafka.cluster import Cluster
from service.adapters.kafka.options import KafkaOptions
from service.adapters.partitioning import checked_size, partition_number
from service.errors import RecordTooLargeError
from service.messaging.broker import NewRecord
from service.messaging.record_size import max_bytes_of

Placed = Sequence[tuple[NewRecord, int]]

TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_LOOK_EVERY_S = 10.0


async def place(cluster: Cluster, records: Sequence[NewRecord], turn: int) -> Placed:
    """Check all records and return each with its partition, before any of them is written.

    Raises:
        TopicMissingError, RecordTooLargeError: a record cannot be written.
    """
    placed = []
    for number, record in enumerate(records):
        width = await cluster.width(record.topic)
        checked_size(record, cluster.options.max_record_bytes)
        placed.append((record, partition_number(record, width, turn + number)))
    return placed


def too_large(placed: Placed, options: KafkaOptions) -> RecordTooLargeError:
    """Return the error for records that are within our limit, and that the broker refuses for their size."""
    largest, _ = max(placed, key=lambda each: len(each[0].value or b""))
    limit = max_bytes_of(largest.topic, options.max_record_bytes)
    return RecordTooLargeError(
        f"{largest.topic}: expected a limit of at least {limit} bytes on records, and the broker refuses one whose "
        f"value has {len(largest.value or b'')} bytes; `seedstream topics check` names the settings to change"
    )


async def deliver(
    client: AIOKafkaProducer, placed: Placed, look: Callable[[], Awaitable[None]], *, alone: bool = False
) -> None:
    """Hand records over in order and wait until the broker has acknowledged every one.

    While there is no acknowledgement, `look` is called every ten seconds; it raises if there is no use in waiting.
    `alone` sends each record in a batch of its own.
    """
    futures: list[asyncio.Future[Any]] = []
    try:
        for record, partition in placed:
            futures.append(await _hand_over(client, record, partition, look, alone=alone))
        await _acknowledged(futures, look)
    finally:
        for future in futures:  # one that nobody awaits any longer may still fail
            future.add_done_callback(_retrieve)


async def _acknowledged(futures: Sequence["asyncio.Future[Any]"], look: Callable[[], Awaitable[None]]) -> None:
    """Wait until all records are acknowledged or one has failed."""
    pending: set[asyncio.Future[Any]] = set(futures)
    while pending:
        done, pending = await asyncio.wait(pending, timeout=_LOOK_EVERY_S, return_when=asyncio.FIRST_EXCEPTION)
        for failed in [error for future in done if (error := future.exception()) is not None]:
            raise failed
        if pending:
            await look()


def _retrieve(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()


async def _hand_over(
    client: AIOKafkaProducer, record: NewRecord, partition: int, look: Callable[[], Awaitable[None]], *, alone: bool
) -> "asyncio.Future[Any]":
    """Put a record into the client's buffer; while the buffer is full, wait."""
    while True:
        try:
            return await _buffered(client, record, partition, alone=alone)
        except KafkaTimeoutError:
            await look()


async def _buffered(
    client: AIOKafkaProducer, record: NewRecord, partition: int, *, alone: bool
) -> "asyncio.Future[Any]":
    headers = list(record.headers)
    has_content = record.key is not None or record.value is not None
    if has_content and not alone:
        return await client.send(record.topic, record.value, key=record.key, partition=partition, headers=headers)  # type: ignore[no-any-return]
    # `send` asserts that a record has a key or a value; a dead letter may have neither.
    batch = client.create_batch()
    batch.append(key=record.key, value=record.value, timestamp=None, headers=headers)
    batch.close()
    return await client.send_batch(batch, record.topic, partition=partition)  # type: ignore[no-any-return]
