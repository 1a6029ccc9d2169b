"""Wrappers of real brokers that stall, as Kafka does while a partition, or a group, has no leader, or nothing comes."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from service.messaging.broker import (
    GroupMember,
    Isolation,
    Listener,
    NewRecord,
    Offsets,
    Partition,
    Producer,
    Reader,
    Record,
)
from tests.fakes.brokers import BreakingBroker, BreakingMember

_FOR_EVER_S = 1e6


@dataclass(eq=False)
class StalledBroker(BreakingBroker):
    """A wrapper of a real broker whose readers get nothing until `back` is set.

    Nor does who asks how far readers may read. The first such question sets `asked`.
    """

    back: anyio.Event = field(default_factory=anyio.Event)
    asked: anyio.Event = field(default_factory=anyio.Event)

    async def end_offset(self, partition: Partition, isolation: Isolation) -> int:
        return (await self.end_offsets([partition], isolation))[partition]

    async def end_offsets(self, partitions: Sequence[Partition], isolation: Isolation) -> Mapping[Partition, int]:
        if isolation is Isolation.READ_COMMITTED:
            self.asked.set()
            await self.back.wait()
        return await self.real.end_offsets(partitions, isolation)

    @asynccontextmanager
    async def reader(self, partitions: Sequence[Partition]) -> AsyncIterator[Reader]:
        async with self.real.reader(partitions) as reader:
            yield _StalledReader(reader, self.back)


@dataclass
class _StalledReader:
    real: Reader
    back: anyio.Event

    async def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        if self.back.is_set():
            return await self.real.poll(max_records, timeout_s)
        with anyio.move_on_after(timeout_s):
            await self.back.wait()
        return []

    def position(self, partition: Partition) -> int:
        return self.real.position(partition)

    def seek(self, partition: Partition, offset: int) -> None:
        self.real.seek(partition, offset)


@dataclass(eq=False)
class PatientBroker(BreakingBroker):
    """A wrapper of a real broker whose polls wait for records until they are cancelled."""

    @asynccontextmanager
    async def reader(self, partitions: Sequence[Partition]) -> AsyncIterator[Reader]:
        async with self.real.reader(partitions) as reader:
            yield _PatientReader(reader)


@dataclass
class _PatientReader:
    real: Reader

    async def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        return await self.real.poll(max_records, _FOR_EVER_S if timeout_s > 0 else 0.0)

    def position(self, partition: Partition) -> int:
        return self.real.position(partition)

    def seek(self, partition: Partition, offset: int) -> None:
        self.real.seek(partition, offset)


@dataclass(eq=False)
class MuteBroker(BreakingBroker):
    """A wrapper of a real broker that never answers a group's commit. The first one sets `asked`."""

    asked: anyio.Event = field(default_factory=anyio.Event)

    @asynccontextmanager
    async def group_member(
        self, group: str, topics: Sequence[str], on_revoked: Listener, on_assigned: Listener
    ) -> AsyncIterator[GroupMember]:
        async with self.real.group_member(group, topics, on_revoked, on_assigned) as member:
            yield _MuteMember(member, self, self.asked)


@dataclass
class _MuteMember(BreakingMember):
    asked: anyio.Event

    async def commit(self, offsets: Offsets) -> None:
        self.asked.set()
        await anyio.sleep_forever()


@dataclass(eq=False)
class UnwritableBroker(BreakingBroker):
    """A wrapper of a real broker whose producers acknowledge nothing until `acknowledges` is set."""

    acknowledges: anyio.Event = field(default_factory=anyio.Event)

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[Producer]:
        async with self.real.producer() as real:
            yield _HeldProducer(real, self.acknowledges)


@dataclass(eq=False)
class _HeldProducer:
    real: Producer
    acknowledges: anyio.Event

    async def send(self, records: Sequence[NewRecord]) -> None:
        await self.acknowledges.wait()
        await self.real.send(records)
