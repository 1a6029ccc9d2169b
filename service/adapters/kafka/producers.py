"""Kafka producers, with and without transactions.

They work around these properties of aiokafka 0.14 (each measured or read in its source):

- A record that fails inside a transaction does not fail the commit: every future is awaited before a commit.
- A failed send leaves an idempotent producer with a broken sequence, for good: the producer is discarded.
- `stop()` waits for ever for undeliverable records, `start()` for a coordinator that never comes: both get a timeout.
- `stop()` leaves an open transaction open, which blocks all readers: the transaction is aborted first.
- A commit with a late response may take effect late, on the next transaction: such a producer is not used again.
- aiokafka checks its states by `assert`: the states are tracked here too, and violations raise our own errors.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    RecordListTooLargeError,
)
from aiokafka.structs import OffsetAndMetadata
from anyio import lowlevel

from service.adapters.kafka.aiokafka_workarounds import against_stray_cancellation, without_haste
from service.adapters.kafka.cluster import Cluster
from service.adapters.kafka.options import KafkaOptions
from service.adapters.partitioning import check_size, partition_number
from service.errors import BrokerError, BrokersGoneError, FencedError, OutcomeUnknownError, RecordTooLargeError
from service.messaging.broker import DEAD_LETTERS, NewRecord, Offsets, Partition
from service.messaging.record_size import max_bytes_of

_MAX_BATCH_BYTES = 256 * 1024
_START_S = 60.0
_STOP_S = 5.0
_END_S = 60.0
_TRANSACTION_BACK_OFF_MS = 10
_BACK_OFF_S = 0.2
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_FENCED = (ProducerFenced, InvalidProducerEpoch)

log = structlog.get_logger()


class KafkaProducer:
    """Writes records without transactions: at least once, and in order within each partition unless a send fails."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._client: AIOKafkaProducer | None = None
        self._renewing = anyio.Lock()
        self._turn = 0

    async def send(self, records: Sequence[NewRecord]) -> None:
        """Write records and wait until all are acknowledged; after a failure, a new producer writes all of them again.

        Raises:
            TopicMissingError, RecordTooLargeError: a record cannot be written.
            BrokersGoneError: the records were not acknowledged within `gone_after_s`.
        """
        placed = await place(self._cluster, records, self._turn)
        self._turn += len(records)
        with anyio.move_on_after(self._cluster.options.gone_after_s):
            while True:
                try:
                    client = await self._current()
                except BrokerError as error:
                    log.warning("kafka.no_producer", error=str(error))
                    await anyio.sleep(_BACK_OFF_S)
                    continue
                try:
                    with against_stray_cancellation("writing"):
                        await _deliver(client, placed)
                except _TOO_LARGE as error:
                    raise RecordTooLargeError(f"the broker takes no record of this size: {error!r}") from error
                except (KafkaError, OutcomeUnknownError) as error:
                    log.warning("kafka.sent_again", error=repr(error))
                else:
                    return
                await self._discard(client)
                await anyio.sleep(_BACK_OFF_S)
        raise BrokersGoneError(
            f"{len(records)} records: no acknowledgement for {self._cluster.options.gone_after_s:g} s"
        )

    async def close(self) -> None:
        """Stop the current client, if there is one, in bounded time."""
        if self._client is not None:
            await stop(self._client)

    async def _current(self) -> AIOKafkaProducer:
        async with self._renewing:
            if self._client is None:
                client = _new_client(self._cluster.options, enable_idempotence=True)
                await start(client, "a producer id")
                self._client = client
            return self._client

    async def _discard(self, client: AIOKafkaProducer) -> None:
        """Discard a broken producer; other calls that still use it fail and discard it too."""
        async with self._renewing:
            if self._client is client:
                self._client = None
                await stop(client)


class KafkaTransactionalProducer:
    """Writes records and offsets in transactions, so that they become visible together."""

    def __init__(self, cluster: Cluster, transactional_id: str, client: AIOKafkaProducer) -> None:
        self._cluster = cluster
        self._id = transactional_id
        self._client = client
        self._is_open = False
        self._refused: BrokerError | None = None
        self._broken: BrokerError | None = None
        self._written: set[Partition] = set()
        self._turn = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, cluster: Cluster, transactional_id: str) -> "AsyncIterator[KafkaTransactionalProducer]":
        """Take over the transactional id: on entry, its previous producer is fenced and its open transaction ended."""
        client = _new_client(
            cluster.options,
            transactional_id=transactional_id,
            transaction_timeout_ms=round(cluster.options.transaction_timeout_s * 1000),
            retry_backoff_ms=_TRANSACTION_BACK_OFF_MS,
        )
        await start(client, f"the coordinator of transactions (for {transactional_id})")
        producer = cls(cluster, transactional_id, client)
        try:
            yield producer
        finally:
            await producer.close()

    async def begin(self) -> None:
        self._check()
        if self._is_open:
            raise BrokerError(f"{self._id}: expected no open transaction, and one is open; commit or abort it first")
        await self._do("begin", self._client.begin_transaction())
        self._is_open, self._refused, self._written = True, None, set()

    async def send(self, records: Sequence[NewRecord]) -> None:
        """Write records inside the transaction and wait for their acknowledgement."""
        self._check_open()
        try:
            placed = await place(self._cluster, records, self._turn)
        except BrokerError as error:
            self._refused = error
            raise
        self._turn += len(records)
        self._written |= {Partition(record.topic, number) for record, number in placed}
        await self._do("send", _deliver(self._client, placed))

    async def send_offsets(self, group: str, offsets: Offsets) -> None:
        """Add offsets of a group to the transaction; they are committed with it."""
        self._check_open()
        for partition in offsets:  # a missing topic would be retried for ever
            await self._cluster.width(partition.topic)
        named = {
            TopicPartition(partition.topic, partition.number): OffsetAndMetadata(committed.offset, committed.metadata)
            for partition, committed in offsets.items()
        }
        await self._do("offsets", self._client.send_offsets_to_transaction(named, group))

    async def commit(self) -> None:
        """Commit the transaction. A commit under way cannot be cancelled: its outcome would be unknown."""
        await lowlevel.checkpoint()
        self._check_open()
        if self._refused is not None:
            raise BrokerError(
                f"{self._id}: a send of this transaction failed; it can only be aborted"
            ) from self._refused
        began = anyio.current_time()
        with anyio.CancelScope(shield=True):
            try:
                await self._do("commit", self._client.commit_transaction())
            except FencedError:
                raise
            except BrokerError as error:
                self._broken = OutcomeUnknownError(
                    f"{self._id}: the commit was sent and is not known to have been carried out: {error}"
                )
                raise self._broken from error
        self._is_open = False
        if self._written:
            await self._cluster.wait_until_visible(sorted(self._written))
        if anyio.current_time() - began >= self._cluster.options.request_timeout_s:
            self._broken = OutcomeUnknownError(
                f"{self._id}: a commit took longer than a request may; a late repetition could end the next "
                "transaction, so this producer begins none"
            )

    async def abort(self) -> None:
        """Abort the transaction, if one is open."""
        if isinstance(self._broken, FencedError):
            raise self._broken
        if self._is_open:
            self._is_open = False
            broken, self._broken = self._broken, None
            with anyio.CancelScope(shield=True):
                await self._do("abort", self._client.abort_transaction())
            self._broken = broken

    async def close(self) -> None:
        """Abort an open transaction and stop the client, both in bounded time."""
        with anyio.CancelScope(shield=True):
            if self._is_open and self._broken is None:
                try:
                    with anyio.move_on_after(_STOP_S):
                        await self.abort()
                except BrokerError as error:
                    log.warning("kafka.left_open", transactional_id=self._id, error=str(error))
            await stop(self._client)

    async def _do(self, what: str, action: Awaitable[Any]) -> None:
        """Execute one step of a transaction; a failure or a cancellation leaves this producer broken.

        Raises:
            FencedError: another producer has opened the id.
            OutcomeUnknownError: any other failure.
        """
        try:
            with anyio.fail_after(_END_S), against_stray_cancellation(f"{self._id}: {what}"):
                await action
        except OutcomeUnknownError as error:
            self._broken = error
            raise
        except _FENCED as error:
            self._broken = self._fenced()
            raise self._broken from error
        except (KafkaError, TimeoutError) as error:
            if isinstance(error.__cause__, _FENCED):
                self._broken = self._fenced()
            else:
                cause = repr(error.__cause__ or error)
                self._broken = OutcomeUnknownError(
                    f"{self._id}: the log did not answer ({what}: {cause}); start again, it knows what was committed"
                )
            raise self._broken from error
        except anyio.get_cancelled_exc_class():
            self._broken = BrokerError(f"{self._id}: {what} was interrupted; open the id anew")
            raise

    def _fenced(self) -> FencedError:
        return FencedError(f"{self._id}: another producer opened this transactional id; this one must stop")

    def _check(self) -> None:
        if self._broken is not None:
            raise self._broken

    def _check_open(self) -> None:
        self._check()
        if not self._is_open:
            raise BrokerError(f"{self._id}: expected an open transaction, and there is none; begin one first")


async def place(cluster: Cluster, records: Sequence[NewRecord], turn: int) -> list[tuple[NewRecord, int]]:
    """Check all records and return each with its partition, before any of them is written.

    Raises:
        TopicMissingError, RecordTooLargeError: a record cannot be written.
    """
    placed = []
    for number, record in enumerate(records):
        width = await cluster.width(record.topic)
        check_size(record, cluster.options.max_record_bytes)
        placed.append((record, partition_number(record, width, turn + number)))
    return placed


async def _deliver(client: AIOKafkaProducer, placed: Sequence[tuple[NewRecord, int]]) -> None:
    """Hand records over in order and wait until the broker has acknowledged every one."""
    futures: list[Awaitable[Any]] = []
    try:
        for record, partition in placed:
            futures.append(await _hand_over(client, record, partition))
    finally:  # every future is awaited, also if a later record could not be handed over
        results = await asyncio.gather(*futures, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def _hand_over(client: AIOKafkaProducer, record: NewRecord, partition: int) -> Awaitable[Any]:
    headers = list(record.headers)
    if record.key is not None or record.value is not None:
        return await client.send(record.topic, record.value, key=record.key, partition=partition, headers=headers)  # type: ignore[no-any-return]
    # `send` asserts that a record has a key or a value; a dead letter may have neither.
    batch = client.create_batch()
    batch.append(key=None, value=None, timestamp=None, headers=headers)
    batch.close()
    return await client.send_batch(batch, record.topic, partition=partition)  # type: ignore[no-any-return]


def _new_client(options: KafkaOptions, **more: Any) -> AIOKafkaProducer:
    client = AIOKafkaProducer(
        acks="all",
        compression_type=options.compression,
        max_batch_size=_MAX_BATCH_BYTES,
        max_request_size=2 * max_bytes_of(DEAD_LETTERS, options.max_record_bytes),
        **options.client_options(),
        **more,
    )
    without_haste(client)
    return client


async def start(client: AIOKafkaProducer, what: str) -> None:
    """Start a producer in bounded time; `what` names the awaited response in errors.

    Raises:
        BrokerError: the producer got no producer id.
    """
    try:
        with anyio.fail_after(_START_S), against_stray_cancellation(what):
            await client.start()
    except OutcomeUnknownError:
        await stop(client)
        raise
    except TimeoutError as error:
        await stop(client)
        raise BrokerError(
            f"expected {what} within {_START_S:g} s, and none came; are there as many brokers as the replication "
            "factor of Kafka's own topics (__transaction_state, __consumer_offsets) wants?"
        ) from error
    except KafkaError as error:
        await stop(client)
        raise BrokerError(f"expected {what}: {error!r}") from error
    except anyio.get_cancelled_exc_class():
        await stop(client)
        raise


async def stop(client: AIOKafkaProducer) -> None:
    """Stop a producer in bounded time; records that cannot be delivered by then are dropped."""
    with anyio.CancelScope(shield=True):
        with anyio.move_on_after(_STOP_S) as patience:
            await client.stop()
        if patience.cancelled_caught:
            sender = client._sender  # noqa: SLF001 - `stop` itself waits for ever for undeliverable records
            await sender.close()
            await client.client.close()
