"""Transactional producers on Kafka.

They work around these properties of aiokafka 0.14 (each measured or read in its source):

- A record that fails inside a transaction does not fail the commit: every record is acknowledged before a commit.
- A step that gets no answer is repeated for ever: a transaction has a deadline, and its end has another.
- `stop()` leaves an open transaction open, which blocks all readers: the transaction is aborted first.
- A commit with a late response may take effect late, on the next transaction: such a producer is not used again.
- aiokafka checks its states by `assert`: the states are tracked here too, and violations raise our own errors.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import InvalidProducerEpoch, KafkaError, ProducerFenced
from aiokafka.structs import OffsetAndMetadata
from anyio import lowlevel

from service.adapters.kafka.aiokafka_workarounds import against_stray_cancellation, causes
from service.adapters.kafka.authorization import Right, refusal
from service.adapters.kafka.clients import ProducerClient
from service.adapters.kafka.cluster import Cluster
from service.adapters.kafka.delivery import TOO_LARGE, deliver, place
from service.errors import BrokerError, FencedError, NotAuthorizedError, OutcomeUnknownError
from service.messaging.broker import NewRecord, Offsets, Partition

_ABORT_S = 5.0
_BACK_OFF_MS = 10
_FENCED = (ProducerFenced, InvalidProducerEpoch)

log = structlog.get_logger()


class KafkaTransactionalProducer:
    """Writes records and offsets in transactions, so that they become visible together."""

    def __init__(self, cluster: Cluster, transactional_id: str, client: ProducerClient) -> None:
        self._cluster = cluster
        self._id = transactional_id
        self._client = client
        self._is_open = False
        self._is_ending = False
        self._refused: BrokerError | None = None
        self._broken: BrokerError | None = None
        self._written: set[Partition] = set()
        self._group: str | None = None
        self._turn = 0
        self._limit_s = max(cluster.options.transaction_timeout_s, cluster.options.request_timeout_s)
        self._deadline = 0.0
        self._step = anyio.CancelScope()
        client.on_death(self._interrupt)

    @classmethod
    @asynccontextmanager
    async def open(cls, cluster: Cluster, transactional_id: str) -> "AsyncIterator[KafkaTransactionalProducer]":
        """Take over the transactional id: on entry, its previous producer is fenced and its open transaction ended."""
        client = ProducerClient(
            cluster.options,
            transactional_id=transactional_id,
            transaction_timeout_ms=round(cluster.options.transaction_timeout_s * 1000),
            retry_backoff_ms=_BACK_OFF_MS,
        )
        await client.start(
            f"the coordinator of transactions (for {transactional_id})",
            Right("WRITE", "transactional id", transactional_id),
        )
        producer = cls(cluster, transactional_id, client)
        try:
            yield producer
        finally:
            await producer.close()

    async def begin(self) -> None:
        self._check()
        if self._is_open:
            raise BrokerError(f"{self._id}: expected no open transaction, and one is open; commit or abort it first")
        self._deadline = anyio.current_time() + self._limit_s
        await self._do("begin", self._client.kafka.begin_transaction)
        self._is_open, self._is_ending, self._refused, self._written = True, False, None, set()
        self._group = None

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
        topics = ", ".join(sorted({record.topic for record, _ in placed}))
        await self._do(
            "send", lambda: deliver(self._client.kafka, placed, lowlevel.checkpoint), Right("WRITE", "topic", topics)
        )

    async def send_offsets(self, group: str, offsets: Offsets) -> None:
        """Add offsets of a group to the transaction; they are committed with it."""
        self._check_open()
        if self._group not in (None, group):  # aiokafka names one group for a transaction
            raise BrokerError(f"{self._id}: expected offsets of group {self._group} alone, got some of {group}")
        self._group = group
        for partition in offsets:  # a missing topic would be retried for ever
            await self._cluster.width(partition.topic)
        named = {
            TopicPartition(partition.topic, partition.number): OffsetAndMetadata(committed.offset, committed.metadata)
            for partition, committed in offsets.items()
        }
        topics = ", ".join(sorted({partition.topic for partition in offsets}))
        await self._do(
            "offsets",
            lambda: self._client.kafka.send_offsets_to_transaction(named, group),
            Right("READ", "group", group),
            Right("READ", "topic", topics),
        )

    async def commit(self) -> None:
        """Commit the transaction. A commit under way cannot be cancelled: its outcome would be unknown."""
        await lowlevel.checkpoint()
        self._check_open()
        if self._refused is not None:
            raise BrokerError(
                f"{self._id}: a send of this transaction failed; it can only be aborted"
            ) from self._refused
        began = anyio.current_time()
        self._deadline = began + self._limit_s
        self._is_ending = True
        with anyio.CancelScope(shield=True):
            try:
                await self._do("commit", self._client.kafka.commit_transaction)
            except (FencedError, NotAuthorizedError):
                raise
            except BrokerError as error:
                self._broken = OutcomeUnknownError(
                    f"{self._id}: the commit was sent and is not known to have been carried out: {error}"
                )
                raise self._broken from error
        self._is_open = False
        took_s = anyio.current_time() - began
        with anyio.CancelScope(deadline=self._deadline):
            if self._written:
                await self._cluster.wait_until_visible(sorted(self._written))
        if took_s >= self._cluster.options.request_timeout_s:
            self._broken = OutcomeUnknownError(
                f"{self._id}: a commit took longer than a request may; a late repetition could end the next "
                "transaction, so this producer begins none"
            )

    async def abort(self) -> None:
        """Abort the transaction, if one is open."""
        if isinstance(self._broken, FencedError):
            raise self._broken
        if self._is_open:
            await self._abort(self._limit_s)

    async def close(self) -> None:
        """Abort an open transaction and stop the client, both in bounded time.

        A transaction of which a step failed or was cancelled is aborted too: readers would wait for its end.
        """
        if self._is_open and not self._is_ending and not isinstance(self._broken, FencedError):
            try:
                await self._abort(_ABORT_S)
            except BrokerError as error:
                log.warning("kafka.left_open", transactional_id=self._id, error=str(error))
        await self._client.drop()

    async def _abort(self, limit_s: float) -> None:
        self._is_open = False
        self._deadline = anyio.current_time() + limit_s
        broken, self._broken = self._broken, None
        with anyio.CancelScope(shield=True):
            await self._do("abort", self._client.abort)
        self._broken = broken

    async def _do(self, what: str, action: Callable[[], Awaitable[Any]], *needed: Right) -> None:
        """Execute one step of a transaction; a failure or a cancellation leaves this producer broken.

        All steps before the end of a transaction have one deadline: later, the broker has aborted it. Its end has
        another. `needed` are the rights that it needs, besides the right to the transactional id.

        Raises:
            FencedError: another producer has opened the id.
            NotAuthorizedError: a right is missing.
            OutcomeUnknownError: any other failure.
        """
        try:
            with (
                anyio.fail_after(max(0.0, self._deadline - anyio.current_time())),
                against_stray_cancellation(f"{self._id}: {what}"),
            ):
                with anyio.CancelScope() as self._step:
                    if self._client.failure is None:
                        await action()
                if (failure := self._client.failure) is not None:
                    raise failure
        except (OutcomeUnknownError, KafkaError, TimeoutError) as error:
            self._broken = self._translated(what, error, needed)
            raise self._broken from error
        except anyio.get_cancelled_exc_class():
            self._broken = BrokerError(f"{self._id}: {what} was interrupted; open the id anew")
            raise

    def _interrupt(self) -> None:
        self._step.cancel()

    def _translated(self, what: str, error: Exception, needed: Sequence[Right]) -> BrokerError:
        if any(isinstance(each, _FENCED) for each in causes(error)):
            return FencedError(f"{self._id}: another producer opened this transactional id; this one must stop")
        if any(isinstance(each, TOO_LARGE) for each in causes(error)):
            return BrokerError(
                f"{needed[0].name}: the broker refuses records that are within the limit of a run; "
                "`seedstream topics check` names the settings to change"
            )
        own = Right("WRITE", "transactional id", self._id)
        refused = refusal(error, self._cluster.options.security.principal, [*needed, own])
        return refused or OutcomeUnknownError(
            f"{self._id}: the log did not answer ({what}: {(error.__cause__ or error)!r}); start again, it knows what "
            "was committed"
        )

    def _check(self) -> None:
        if self._broken is not None:
            raise self._broken

    def _check_open(self) -> None:
        self._check()
        if not self._is_open:
            raise BrokerError(f"{self._id}: expected an open transaction, and there is none; begin one first")
