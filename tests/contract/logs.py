"""Helpers of the contract tests for reading and writing a log."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import anyio

from service.messaging.broker import Broker, Committed, GroupMember, Isolation, NewRecord, Partition, Record, TopicSpec

P0 = Partition("first", 0)
Q0 = Partition("second", 0)
DEADLINE_S = 30.0


async def create(broker: Broker, partitions: int = 1) -> None:
    await broker.create_topics([TopicSpec("first", partitions), TopicSpec("second", 1)])


def values(*texts: str, topic: str = "first", partition: int | None = 0) -> list[NewRecord]:
    return [NewRecord(topic, text.encode(), key=text.encode(), partition=partition) for text in texts]


def texts(records: Sequence[Record]) -> list[str]:
    return [(record.value or b"").decode() for record in records]


async def send(broker: Broker, *texts: str, topic: str = "first") -> None:
    async with broker.producer() as producer:
        await producer.send(values(*texts, topic=topic))


async def read_all(broker: Broker, partition: Partition = P0, start: int = 0) -> list[Record]:
    """Read as a rebuild does: until the position has reached the end offset."""
    target = await broker.end_offset(partition, Isolation.READ_COMMITTED)
    found: list[Record] = []
    async with broker.reader([partition]) as reader:
        reader.seek(partition, start)
        with anyio.fail_after(DEADLINE_S):
            while reader.position(partition) < target:
                found += await reader.poll(100, 0.1)
    return found


async def taken_effect(broker: Broker, transactional_id: str) -> None:
    """Wait until committed offsets can be read, as the next owner of the id does: on Kafka, a moment after a commit."""
    async with broker.transactional_producer(transactional_id):
        pass


async def poll_until(member: GroupMember, count: int) -> list[Record]:
    """Poll until this number of records has arrived."""
    found: list[Record] = []
    with anyio.fail_after(DEADLINE_S):
        while len(found) < count:
            found += await member.poll(100, 0.1)
    return found


async def meet(*members: GroupMember, until: Callable[[], bool]) -> None:
    """Let all members poll concurrently, until the condition on their assignment holds."""
    shared = anyio.Event()

    async def poll(member: GroupMember) -> None:
        while not shared.is_set():
            await member.poll(10, 0.05)
            if until():
                shared.set()

    with anyio.fail_after(DEADLINE_S):
        async with anyio.create_task_group() as tasks:
            for member in members:
                tasks.start_soon(poll, member)
            await shared.wait()
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def polling(member: GroupMember) -> AsyncIterator[None]:
    """Let a member poll while the block runs."""

    async def poll() -> None:
        while True:
            await member.poll(10, 0.05)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(poll)
        yield
        tasks.cancel_scope.cancel()


async def ignore(_: frozenset[Partition]) -> None:
    pass


def upto(offset: int, metadata: str = "") -> dict[Partition, Committed]:
    return {P0: Committed(offset, metadata)}
