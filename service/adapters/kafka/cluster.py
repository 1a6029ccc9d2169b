"""Requests to the brokers beside reading and writing: topics, rights, end offsets, liveness.

aiokafka's admin client raises every error that a broker returns. Here a request is retried until it succeeds, or until
no broker has answered for `gone_after_s`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import anyio
import structlog
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.metadata import MetadataRequest

from service.adapters.kafka.aiokafka_workarounds import against_stray_cancellation
from service.adapters.kafka.authorization import Right, not_authorized, operations, refusal
from service.adapters.kafka.later_requests import TopicsRequest
from service.adapters.kafka.options import KafkaOptions
from service.adapters.kafka.partition_offsets import PartitionOffsets
from service.adapters.kafka.topic_watch import TopicWatch
from service.errors import BrokerError, BrokersGoneError, OutcomeUnknownError, TopicMissingError
from service.messaging.broker import Isolation, Partition
from service.task_groups import unwrapped_task_group

T = TypeVar("T")

_BACK_OFF_S = 0.1
_LOOK_EVERY_S = 10.0
_ANSWER_S = 5.0
_VISIBLE_S = 1.0
_MARKER_S = 0.002
_SETTLED_S = 2.0

log = structlog.get_logger()


class Cluster:
    """The brokers of a cluster, behind one interface with retries."""

    def __init__(self, options: KafkaOptions) -> None:
        self.options = options
        self.admin = AIOKafkaAdminClient(**options.client_options())
        self._widths: dict[str, int] = {}
        self._offsets = PartitionOffsets(self.admin)
        self._watched = TopicWatch()

    @classmethod
    @asynccontextmanager
    async def open(cls, options: KafkaOptions) -> "AsyncIterator[Cluster]":
        """Connect, and check inside the block that the brokers still answer.

        Raises:
            BrokerError: no broker answers at the address.
            BrokersGoneError: inside the block, no broker has answered for `gone_after_s`.
            TopicMissingError, TopicRecreatedError: inside the block, a topic in use was deleted.
        """
        cluster = cls(options)
        try:
            await cluster._connect()
            async with unwrapped_task_group() as tasks:
                tasks.start_soon(cluster._watch)
                yield cluster
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_ANSWER_S), suppress(KafkaError, OSError):
                await cluster.admin.close()

    async def ask(self, what: str, question: Callable[[], Awaitable[T]], *needed: Right) -> T:
        """Send a request that may be repeated, retry it until it succeeds, and return its result.

        `what` names the request in logs and errors; `needed` are the rights that it needs.

        Raises:
            BrokersGoneError: the request did not succeed within `gone_after_s`.
            NotAuthorizedError: a right is missing.
            BrokerError: the broker returned an error that is not retriable.
        """
        with anyio.move_on_after(self.options.gone_after_s):
            while True:
                try:
                    with anyio.fail_after(self.options.request_timeout_s), against_stray_cancellation(what):
                        return await question()
                except OutcomeUnknownError as error:
                    log.warning("kafka.asked_again", question=what, error=str(error))
                except TimeoutError:
                    log.warning("kafka.no_answer", question=what)
                except KafkaError as error:
                    if not error.retriable and not isinstance(error, KafkaConnectionError):
                        raise self.translated(what, error, *needed) from error
                    log.debug("kafka.asked_again", question=what, error=repr(error))
                await anyio.sleep(_BACK_OFF_S)
        raise BrokersGoneError(f"{what}: {self.options.bootstrap} gave no answer for {self.options.gone_after_s:g} s")

    def translated(self, what: str, error: KafkaError, *needed: Right) -> BrokerError:
        """Return our own error for one of aiokafka's; `needed` are the rights that `what` needs."""
        return refusal(error, self.options.security.principal, needed) or BrokerError(f"{what}: {error!r}")

    async def topics(self) -> dict[str, list[dict[str, Any]]]:
        """Return the current description of the partitions of every topic.

        The request asks for all topics: a request by name would create the topic on brokers that auto-create topics.
        """
        found = await self.ask("the list of topics", self.admin.describe_topics)
        topics = {each["topic"]: each["partitions"] for each in found}
        self._widths = {topic: len(partitions) for topic, partitions in topics.items()}
        return topics

    async def brokers(self) -> list[int]:
        """Return the ids of the brokers in the cluster."""
        found = await self.ask("the list of brokers", self.admin.describe_cluster)
        return [each["node_id"] for each in found["brokers"]]

    async def wait_until_known_at(self, broker: int, topics: set[str]) -> None:
        """Wait until one broker knows these topics and their leaders; brokers learn of new topics one by one."""
        request = MetadataRequest(None)
        while True:
            answer = await self.ask("topics", lambda: self.admin._send_request(request, broker))  # noqa: SLF001
            known = {each["topic"]: each["partitions"] for each in answer.to_object()["topics"]}
            if topics <= known.keys() and all(part["leader"] >= 0 for topic in topics for part in known[topic]):
                return
            await anyio.sleep(_BACK_OFF_S)

    async def width(self, topic: str) -> int:
        """Return the number of partitions of a topic.

        Raises:
            TopicMissingError: there is no such topic.
            NotAuthorizedError: this client may not see the topic.
        """
        if topic not in self._widths:
            await self.topics()
        if topic not in self._widths:
            await self.operations([topic])
            raise self._missing(topic)
        self._watched.use(topic)
        return self._widths[topic]

    async def operations(self, topics: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return what this client may do with each topic: `READ`, `WRITE` and so on.

        Raises:
            TopicMissingError: there is no such topic.
            NotAuthorizedError: this client may not see a topic, whether it exists or not.
        """
        request = TopicsRequest(sorted(set(topics)))
        answer = await self.ask("rights", lambda: self.admin._send_request(request))  # noqa: SLF001 - a later version
        found = {}
        for each in answer.to_object()["topics"]:
            error, name = for_code(each["error_code"]), each["topic"]
            if error is TopicAuthorizationFailedError:
                raise not_authorized(self.options.security.principal, Right("DESCRIBE", "topic", name))
            if error is UnknownTopicOrPartitionError:
                raise self._missing(name)
            found[name] = operations(each["operations"])
        return found

    async def check_rights(self, wanted: Sequence[tuple[str, str]]) -> None:
        """Check that this client may do each of these operations on topics.

        Raises:
            TopicMissingError, NotAuthorizedError: it may not.
        """
        topics = [topic for _, topic in wanted]
        try:
            allowed = await self.operations(topics)
        except TopicMissingError:  # a broker that has just come back may answer from an old state
            await anyio.sleep(_SETTLED_S)
            allowed = await self.operations(topics)
        for operation, topic in wanted:
            if operation not in allowed[topic]:
                raise not_authorized(self.options.security.principal, Right(operation, "topic", topic))

    def _missing(self, topic: str) -> TopicMissingError:
        return TopicMissingError(
            f"expected a topic {topic}, and there is none at {self.options.bootstrap}; "
            "`seedstream topics create` creates the topics of a run"
        )

    async def end_offsets(self, partitions: Sequence[Partition], isolation: Isolation) -> dict[Partition, int]:
        """Return the offset behind the last record of each partition; if read-committed, behind the last stable one."""
        return await self._offsets_of(partitions, "ends", lambda: self._offsets.ends(partitions, isolation))

    async def begin_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the offset of the first record that is left of each partition; 0 if nothing was ever deleted."""
        return await self._offsets_of(partitions, "begins", lambda: self._offsets.begins(partitions))

    async def _offsets_of(
        self, partitions: Sequence[Partition], what: str, question: Callable[[], Awaitable[dict[Partition, int]]]
    ) -> dict[Partition, int]:
        if not partitions:
            return {}
        for topic in {partition.topic for partition in partitions}:
            await self.width(topic)
        return await self.ask(f"{what} of partitions", question, describing(partitions))

    async def wait_until_visible(self, partitions: Sequence[Partition]) -> None:
        """Wait until read-committed readers see everything that has been written so far, for at most a second.

        A commit is acknowledged a moment before its markers are written (KAFKA-10167). The open transaction of another
        producer may hide records for longer; that is not worth the wait.
        """
        written = await self.end_offsets(partitions, Isolation.READ_UNCOMMITTED)
        with anyio.move_on_after(_VISIBLE_S):
            while True:
                readable = await self.end_offsets(partitions, Isolation.READ_COMMITTED)
                if all(readable[partition] >= end for partition, end in written.items()):
                    return
                await anyio.sleep(_MARKER_S)

    async def _connect(self) -> None:
        where = self.options.bootstrap
        try:
            with anyio.fail_after(self.options.request_timeout_s):
                await self.admin.start()
        except (KafkaError, TimeoutError, OSError) as error:
            raise BrokerError(f"expected a Kafka broker at {where} ({self.options.security.protocol}): {error}") from (
                error
            )

    async def _watch(self) -> None:
        """Raise once no broker has answered for `gone_after_s`, or a topic in use is gone.

        aiokafka's sends and polls would wait for ever.
        """
        heard, told_s = anyio.current_time(), 0.0
        while True:
            await anyio.sleep(min(_LOOK_EVERY_S, self.options.gone_after_s / 2))
            try:
                with anyio.fail_after(_ANSWER_S), against_stray_cancellation("the state of topics"):
                    answer = await self.admin._send_request(self._watched.question())  # noqa: SLF001 - a later version
                if told_s:
                    log.info("kafka.answers_again", silent_s=round(anyio.current_time() - heard))
                heard, told_s = anyio.current_time(), 0.0
                self._watched.check(answer)
            except (KafkaError, TimeoutError, OSError, OutcomeUnknownError) as error:
                silent_s = anyio.current_time() - heard
                if silent_s >= 2 * told_s:
                    told_s = silent_s
                    log.warning("kafka.silent", silent_s=round(silent_s), error=repr(error))
                if silent_s > self.options.gone_after_s:
                    raise BrokersGoneError(
                        f"no broker of {self.options.bootstrap} has answered for {silent_s:.0f} s; "
                        "what was acknowledged is safe, start again when they are back"
                    ) from error


def describing(partitions: Sequence[Partition]) -> Right:
    """Return the right to ask about partitions."""
    return Right("DESCRIBE", "topic", ", ".join(sorted({partition.topic for partition in partitions})))


def as_keys(partitions: Sequence[Partition]) -> list[TopicPartition]:
    """Convert partitions to aiokafka's `TopicPartition`."""
    return [TopicPartition(partition.topic, partition.number) for partition in partitions]
