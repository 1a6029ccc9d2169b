"""Kafka producers without transactions.

A batch that a broker refuses leaves aiokafka's idempotent producer with a broken sequence, for good. The client is then
replaced, and every call that uses it sends its records again, at once. A broker that does not answer breaks nothing:
aiokafka repeats its requests, and a full buffer makes further calls wait.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import anyio
import structlog
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from service.adapters.kafka.aiokafka_workarounds import against_stray_cancellation
from service.adapters.kafka.authorization import Right, refusal
from service.adapters.kafka.clients import ProducerClient
from service.adapters.kafka.cluster import Cluster
from service.adapters.kafka.delivery import TOO_LARGE, Placed, deliver, place, too_large
from service.errors import BrokerError, BrokersGoneError, NotAuthorizedError, OutcomeUnknownError
from service.messaging.broker import NewRecord

_BACK_OFF_S = 0.2
_LOOK_EVERY_S = 10.0
_LOOK_S = 5.0
_NUMBERED = Right("IDEMPOTENT_WRITE", "cluster", "kafka-cluster, which the right to WRITE to any topic includes")

log = structlog.get_logger()


class KafkaProducer:
    """Writes records without transactions: at least once, and in order within each partition unless a send fails."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._shared: _SharedClient | None = None
        self._renewing = anyio.Lock()
        self._turn = 0
        self._look_again_at = 0.0

    async def send(self, records: Sequence[NewRecord]) -> None:
        """Write records and wait until all are acknowledged; after a failure, a new client writes all of them again.

        Raises:
            TopicMissingError, RecordTooLargeError, NotAuthorizedError: a record cannot be written.
            BrokersGoneError: the records were not acknowledged within `gone_after_s`.
        """
        placed = await place(self._cluster, records, self._turn)
        self._turn += len(records)
        failure: KafkaError | BrokerError | None = None
        alone = False
        with anyio.move_on_after(self._cluster.options.gone_after_s):
            while (failure := await self._attempt(placed, alone=alone)) is not None:
                if isinstance(failure, TOO_LARGE):
                    if alone:
                        raise too_large(placed, self._cluster.options) from failure
                    alone = True  # the broker refused a whole batch, perhaps for the records of another call
                await anyio.sleep(_BACK_OFF_S)
            return
        raise BrokersGoneError(
            f"{len(records)} records to {_topics_of(placed)}: no acknowledgement for "
            f"{self._cluster.options.gone_after_s:g} s"
        ) from failure

    async def close(self) -> None:
        """Stop the current client, if there is one, in bounded time."""
        if self._shared is not None:
            await self._shared.client.stop()

    async def _attempt(self, placed: Placed, *, alone: bool) -> KafkaError | BrokerError | None:
        """Send records once; return None if all are acknowledged, otherwise the reason to send them again."""
        try:
            shared = await self._current()
        except NotAuthorizedError:
            raise
        except BrokerError as error:
            log.warning("kafka.no_producer", error=str(error))
            return error
        failure: KafkaError | BrokerError = OutcomeUnknownError("the client broke down while it was in use")
        with shared.call():
            try:
                with against_stray_cancellation("writing"):
                    await deliver(shared.client.kafka, placed, lambda: self._look(placed), alone=alone)
            except (KafkaError, OutcomeUnknownError) as error:
                failure = error
            else:
                return None
        if isinstance(failure, UnknownTopicOrPartitionError):  # nothing was sent: the client knows no such topic
            await self._look(placed)
            return failure
        shared.break_down(failure)
        writing = Right("WRITE", "topic", _topics_of(placed))
        if (refused := refusal(failure, self._cluster.options.security.principal, [writing])) is not None:
            raise refused from failure
        return failure

    async def _current(self) -> "_SharedClient":
        """Return the client that all calls share; start a new one if it broke down."""
        async with self._renewing:
            if self._shared is not None and self._shared.is_broken:
                broken, self._shared = self._shared, None
                await broken.client.drop()
            if self._shared is None:
                client = ProducerClient(self._cluster.options, enable_idempotence=True)
                await client.start("a producer id", _NUMBERED)
                self._shared = _SharedClient(client)
            return self._shared

    async def _look(self, placed: Placed) -> None:
        """Raise if the topics are gone: aiokafka would wait for ever for the leader of a deleted topic."""
        if anyio.current_time() >= self._look_again_at:
            self._look_again_at = anyio.current_time() + _LOOK_EVERY_S
            with anyio.move_on_after(_LOOK_S):
                await self._cluster.topics()
        for topic in {record.topic for record, _ in placed}:
            await self._cluster.width(topic)


class _SharedClient:
    """A client that several calls use; when it breaks down, all of them are interrupted."""

    def __init__(self, client: ProducerClient) -> None:
        self.client = client
        self.is_broken = False
        self._calls: set[anyio.CancelScope] = set()
        client.on_death(self.break_down)

    @contextmanager
    def call(self) -> Iterator[None]:
        """Leave the block when the client breaks down."""
        with anyio.CancelScope() as scope:
            self._calls.add(scope)
            if self.is_broken:
                scope.cancel()
            try:
                yield
            finally:
                self._calls.discard(scope)

    def break_down(self, failure: KafkaError | BrokerError | None = None) -> None:
        """Let no further call use the client, and interrupt those that do."""
        if not self.is_broken:
            self.is_broken = True
            if failure is not None or self._calls:
                log.warning("kafka.sent_again", calls=len(self._calls), error=repr(failure or self.client.failure))
            for scope in self._calls:
                scope.cancel()


def _topics_of(placed: Placed) -> str:
    return ", ".join(sorted({record.topic for record, _ in placed}))
