"""What is asked of the brokers beside the streams themselves: topics, ends, committed offsets, members; are they there?

aiokafka's admin client raises whatever a broker in trouble answers; here every question is asked again until it is
answered, or nobody has answered for `gone_after_s`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from service.adapters.kafka.aiokafka_workarounds import against_stray_cancellation
from service.adapters.kafka.options import KafkaOptions
from service.errors import BrokerError, BrokersGoneError, OutcomeUnknownError, TopicMissingError
from service.messaging.broker import Committed, Isolation, Member, Partition

T = TypeVar("T")

_BACK_OFF_S = 0.1
_LOOK_EVERY_S = 5.0
_ANSWER_S = 5.0
_VISIBLE_S = 1.0
_MARKER_S = 0.002

log = structlog.get_logger()


class Cluster:
    """The brokers, as one thing that answers questions."""

    def __init__(self, options: KafkaOptions) -> None:
        self.options = options
        self.admin = AIOKafkaAdminClient(**options.client_options())
        self._widths: dict[str, int] = {}
        self._ends: dict[Isolation, AIOKafkaConsumer] = {}
        self._opening = anyio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, options: KafkaOptions) -> "AsyncIterator[Cluster]":
        """Connect.

        Raises:
            BrokerError: nobody answers there.
            BrokersGoneError: nobody has answered for too long, later on.
        """
        cluster = cls(options)
        try:
            await cluster._connect()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(cluster._watch)
                yield cluster
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            if len(group.exceptions) > 1:
                raise
            raise group.exceptions[0] from group.exceptions[0].__cause__  # the task group is no business of the caller
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_ANSWER_S):
                for consumer in cluster._ends.values():
                    await consumer.stop()
                await cluster.admin.close()

    async def ask(self, what: str, question: Callable[[], Awaitable[T]]) -> T:
        """Return the answer to a question that may be asked again.

        Raises:
            BrokersGoneError: it was not answered for `gone_after_s`.
            BrokerError: the answer is no, for good.
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
                        raise BrokerError(f"{what}: {error!r}") from error
                    log.debug("kafka.asked_again", question=what, error=repr(error))
                await anyio.sleep(_BACK_OFF_S)
        raise BrokersGoneError(f"{what}: {self.options.bootstrap} gave no answer for {self.options.gone_after_s:g} s")

    async def topics(self) -> dict[str, list[dict[str, Any]]]:
        """Return the partitions of every topic, as the brokers describe them now.

        All topics are asked for: asking for one by name would make a broker that is set so create it.
        """
        found = await self.ask("the list of topics", self.admin.describe_topics)
        topics = {each["topic"]: each["partitions"] for each in found}
        self._widths = {topic: len(partitions) for topic, partitions in topics.items()}
        return topics

    async def brokers(self) -> list[int]:
        """Return the ids of the brokers that there are."""
        found = await self.ask("the list of brokers", self.admin.describe_cluster)
        return [each["node_id"] for each in found["brokers"]]

    async def wait_until_known_at(self, broker: int, topics: set[str]) -> None:
        """Wait until one broker knows these topics and their leaders; new ones are not known to all at once."""
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
        """
        if topic not in self._widths:
            await self.topics()
        try:
            return self._widths[topic]
        except KeyError:
            raise TopicMissingError(
                f"expected a topic {topic}, and there is none at {self.options.bootstrap}; "
                "`seedstream topics create` creates the topics of a run"
            ) from None

    async def committed(self, group: str, partition: Partition) -> Committed | None:
        """Return what a group has committed for a partition, with its note."""
        key = TopicPartition(partition.topic, partition.number)

        async def fetch() -> Any:
            found = await self.admin.list_consumer_group_offsets(group, partitions=[key])
            if key not in found:  # aiokafka drops the error of the whole answer: a coordinator on the move
                raise KafkaConnectionError(f"group {group}: no answer for {partition}")
            return found[key]

        answer = await self.ask(f"committed offsets of {group}", fetch)
        return Committed(answer.offset, answer.metadata or "") if answer.offset >= 0 else None

    async def end_offsets(self, partitions: Sequence[Partition], isolation: Isolation) -> dict[Partition, int]:
        """Return the offset behind the last record of each; read-committed: behind the last stable one."""
        for partition in partitions:
            await self.width(partition.topic)
        consumer = await self._consumer(isolation)
        keys = as_keys(partitions)
        found: dict[TopicPartition, int] = await self.ask("ends of partitions", lambda: consumer.end_offsets(keys))
        return {partition: found[key] for partition, key in zip(partitions, keys, strict=True)}

    async def wait_until_visible(self, partitions: Sequence[Partition]) -> None:
        """Wait until readers may see what has been written so far, or for a second.

        A commit is acknowledged a moment before its markers are in place (KAFKA-10167). Somebody else's open
        transaction may hide records for longer, which is nothing to wait for.
        """
        written = await self.end_offsets(partitions, Isolation.READ_UNCOMMITTED)
        with anyio.move_on_after(_VISIBLE_S):
            while True:
                readable = await self.end_offsets(partitions, Isolation.READ_COMMITTED)
                if all(readable[partition] >= end for partition, end in written.items()):
                    return
                await anyio.sleep(_MARKER_S)

    async def members(self, group: str) -> list[Member]:
        """Return who is in a group now, and what each one owns."""

        async def fetch() -> Any:
            (answer,) = await self.admin.describe_consumer_groups([group])
            return answer.to_object()["groups"]

        (found,) = await self.ask(f"members of {group}", fetch)
        return [_member(each) for each in found["members"]]

    async def _connect(self) -> None:
        where = self.options.bootstrap
        try:
            with anyio.fail_after(self.options.request_timeout_s):
                await self.admin.start()
        except (KafkaError, TimeoutError, OSError) as error:
            raise BrokerError(f"expected a Kafka broker at {where} ({self.options.security.protocol}): {error}") from (
                error
            )

    async def _consumer(self, isolation: Isolation) -> AIOKafkaConsumer:
        """Return a consumer that reads nothing: aiokafka's `end_offsets` goes by its consumer's isolation level."""
        async with self._opening:
            if isolation not in self._ends:
                consumer = AIOKafkaConsumer(isolation_level=isolation.value, **self.options.client_options())
                self._ends[isolation] = consumer
                await self.ask("a connection", consumer.start)
            return self._ends[isolation]

    async def _watch(self) -> None:
        """Raise once nobody has answered for `gone_after_s`: sends and polls of their own would wait for ever."""
        heard = anyio.current_time()
        while True:
            await anyio.sleep(min(_LOOK_EVERY_S, self.options.gone_after_s / 2))
            try:
                with anyio.fail_after(_ANSWER_S), against_stray_cancellation("the list of brokers"):
                    await self.admin.describe_cluster()
                heard = anyio.current_time()
            except (KafkaError, TimeoutError, OSError, OutcomeUnknownError) as error:
                silent_s = anyio.current_time() - heard
                log.warning("kafka.silent", silent_s=round(silent_s), error=repr(error))
                if silent_s > self.options.gone_after_s:
                    raise BrokersGoneError(
                        f"no broker of {self.options.bootstrap} has answered for {silent_s:.0f} s; "
                        "what was acknowledged is safe, start again when they are back"
                    ) from error


def _member(found: dict[str, Any]) -> Member:
    """Return a member from a broker's description of a group."""
    owned: set[Partition] = set()
    if found["member_assignment"]:
        assignment = ConsumerProtocol.ASSIGNMENT.decode(found["member_assignment"])
        owned = {Partition(topic, number) for topic, numbers in assignment.assignment for number in numbers}
    return Member(found["client_id"], frozenset(owned))


def as_keys(partitions: Sequence[Partition]) -> list[TopicPartition]:
    """Return partitions as aiokafka names them."""
    return [TopicPartition(partition.topic, partition.number) for partition in partitions]
