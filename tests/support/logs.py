"""Helpers of the stage tests for reading and writing a log."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import anyio
from anyio import to_thread
from msgspec import structs

from service.messaging import codec, topics
from service.messaging.broker import Broker, Isolation, NewRecord, Partition, Record
from service.messaging.messages import Message
from service.messaging.topics import Topic
from service.runtime.transactional_worker import TransactionalWorker

RUN = "r"
DEADLINE_S = 30.0
# Long enough to notice an event that should not happen.
QUIET_S = 0.1

M = TypeVar("M", bound=Message)


class Work(Protocol):
    """A worker that runs until it is drained."""

    async def run(self, drain: anyio.Event) -> object: ...


async def create(broker: Broker, partitions: int = 1) -> None:
    await broker.create_topics(topics.specs(RUN, partitions))


async def send(broker: Broker, *messages: Message, partition: int | None = None) -> None:
    await write(broker, *(structs.replace(codec.encode(message, RUN), partition=partition) for message in messages))


async def write(broker: Broker, *records: NewRecord) -> None:
    async with broker.producer() as producer:
        await producer.send(records)


async def partitions_of(broker: Broker, topic: str) -> list[Partition]:
    return [Partition(topic, number) for number in range(await broker.partitions(topic))]


async def records_of(broker: Broker, topic: str) -> list[Record]:
    """Return all records of a topic."""
    partitions = await partitions_of(broker, topic)
    ends = {partition: await broker.end_offset(partition, Isolation.READ_COMMITTED) for partition in partitions}
    found: list[Record] = []
    async with broker.reader(partitions) as reader:
        with anyio.fail_after(DEADLINE_S):
            while any(reader.position(partition) < end for partition, end in ends.items()):
                found += await reader.poll(1_000, 0.0)
    return found


async def read(broker: Broker, topic: Topic[M]) -> list[M]:
    """Return all messages of a topic."""
    return [codec.decode(topic, record) for record in await records_of(broker, topic.of(RUN))]


async def dead_letters(broker: Broker, topic: Topic[Message]) -> list[Record]:
    return await records_of(broker, topic.dead_letters_of(RUN))


async def follow(broker: Broker, topic: Topic[M], count: int) -> list[M]:
    """Return the messages of a topic once it has this number of them."""
    found: list[Record] = []
    async with broker.reader(await partitions_of(broker, topic.of(RUN))) as reader:
        with anyio.fail_after(DEADLINE_S):
            while len(found) < count:
                found += await reader.poll(1_000, DEADLINE_S)
    return [codec.decode(topic, record) for record in found]


async def stays_at(broker: Broker, topic: Topic[M], count: int) -> bool:
    """Wait for this number of records in a topic. Return whether no more arrive for a while."""
    async with broker.reader(await partitions_of(broker, topic.of(RUN))) as reader:
        found = 0
        with anyio.fail_after(DEADLINE_S):
            while found < count:
                found += len(await reader.poll(1_000, DEADLINE_S))
        return found == count and await reader.poll(1, QUIET_S) == []


async def committed(broker: Broker, stage: str, topic: Topic[Message], number: int = 0) -> int | None:
    """Return the offset that a stage has committed for a partition."""
    found = await broker.committed(f"seedstream.{RUN}.{stage}", Partition(topic.of(RUN), number))
    return None if found is None else found.offset


async def forget_offsets(folder: Path) -> None:
    """Delete all committed offsets from the embedded log of the fixture `open_broker`, as Kafka does after a week."""

    def forget() -> None:
        with closing(sqlite3.connect(folder / "run.sqlite3")) as connection, connection:
            assert connection.execute("DELETE FROM committed").rowcount > 0

    await to_thread.run_sync(forget)


async def end(broker: Broker, topic: Topic[Message], number: int = 0) -> int:
    return await broker.end_offset(Partition(topic.of(RUN), number), Isolation.READ_COMMITTED)


@asynccontextmanager
async def drained_after(*works: Work) -> AsyncIterator[anyio.Event]:
    """Run workers during the block, and drain them at its end. Setting the event drains them earlier."""
    drain = anyio.Event()
    with anyio.fail_after(DEADLINE_S):
        async with anyio.create_task_group() as tasks:
            for work in works:
                tasks.start_soon(work.run, drain)
            yield drain
            drain.set()


@dataclass(frozen=True)
class Committing:
    """A committer that runs during a test, without waiting until it is ready."""

    committer: TransactionalWorker[Any]

    async def run(self, drain: anyio.Event) -> None:
        await self.committer.run(drain, anyio.Event())


async def work_off(committer: TransactionalWorker[Any]) -> None:
    """Let a committer process all available input, up to its target."""
    drain = anyio.Event()
    drain.set()
    with anyio.fail_after(DEADLINE_S):
        await committer.run(drain, anyio.Event())


@asynccontextmanager
async def killed_after(*works: Work) -> AsyncIterator[None]:
    """Run workers during the block, and cancel them at its end, as if the process had been killed."""
    with anyio.fail_after(DEADLINE_S):
        async with anyio.create_task_group() as tasks:
            for work in works:
                tasks.start_soon(work.run, anyio.Event())
            yield
            tasks.cancel_scope.cancel()


async def until(broker: Broker, holds: Callable[[], bool]) -> None:
    """Poll until the condition holds."""
    async with broker.reader([]) as nothing:
        with anyio.fail_after(DEADLINE_S):
            while not holds():
                await nothing.poll(1, 0.02)


async def until_committed(broker: Broker, stage: str, topic: Topic[Message], offset: int) -> None:
    async with broker.reader([]) as nothing:
        with anyio.fail_after(DEADLINE_S):
            while await committed(broker, stage, topic) != offset:
                await nothing.poll(1, 0.02)
