"""Readers of the embedded broker: with manual assignment, and as members of a group."""

import anyio
from anyio import lowlevel

from service.adapters.sqlite.engine import LogEngine
from service.adapters.sqlite.groups import Group, Membership
from service.messaging.broker import Committed, Listener, Offsets, Partition, Record


class SqliteReader:
    """Reads assigned partitions and tracks its position in each."""

    def __init__(self, engine: LogEngine) -> None:
        self._engine = engine
        self._positions: dict[Partition, int] = {}
        self._paused: frozenset[Partition] = frozenset()
        self._news = anyio.Event()

    def assign(self, positions: dict[Partition, int]) -> None:
        """Replace the assigned partitions; `positions` are the next offsets to read."""
        self.release()
        self._positions = positions
        for partition in positions:
            self._engine.log(partition).watchers.add(self.wake)

    def release(self) -> None:
        """Give up all assigned partitions."""
        for partition in self._positions:
            self._engine.log(partition).watchers.discard(self.wake)
        self._positions = {}

    def pause(self, partitions: frozenset[Partition]) -> None:
        """Return no records of these partitions, and of the others again."""
        if partitions != self._paused:
            self._paused = partitions
            self.wake()

    def wake(self) -> None:
        """Wake a waiting poll, so that it looks for records again."""
        self._news.set()

    def position(self, partition: Partition) -> int:
        """Return the next offset to read of a partition."""
        return self._positions[partition]

    def seek(self, partition: Partition, offset: int) -> None:
        """Continue at this offset of a partition."""
        self._positions[partition] = offset
        self.wake()

    async def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        """Return the next records, up to `max_records`; an empty list if none comes within `timeout_s`."""
        await lowlevel.checkpoint()
        deadline = anyio.current_time() + timeout_s
        while True:
            records = await self.take(max_records)
            remaining_s = deadline - anyio.current_time()
            if records or remaining_s <= 0:
                return records
            await self.wait(remaining_s)

    async def wait(self, timeout_s: float) -> None:
        """Wait until there may be new records, for at most `timeout_s`."""
        await self._engine.wait(self._news, timeout_s)

    async def take(self, max_records: int) -> list[Record]:
        """Return the records that are readable now, without interruption. Partitions take turns in being read first."""
        records: list[Record] = []
        with anyio.CancelScope(shield=True):
            await self._take_into(records, max_records)
        return records

    async def _take_into(self, records: list[Record], max_records: int) -> None:
        self._news = anyio.Event()
        for partition in [each for each in self._positions if each not in self._paused]:
            room = max_records - len(records)
            if room == 0:
                break
            start = self._positions[partition]
            if self._engine.log(partition).readable_end <= start:
                continue
            found, position = await self._engine.read(partition, start, room)
            if self._positions.get(partition) != start:
                continue
            self._positions[partition] = position
            records += found
            if found:
                self._positions[partition] = self._positions.pop(partition)


class SqliteGroupMember:
    """Reads the partitions that its group assigns to it."""

    def __init__(
        self, engine: LogEngine, group: Group, topics: tuple[str, ...], on_revoked: Listener, on_assigned: Listener
    ) -> None:
        self._engine = engine
        self._group = group
        self._reader = SqliteReader(engine)
        self._membership = Membership(topics, self._reader.wake)
        self._on_revoked = on_revoked
        self._on_assigned = on_assigned
        group.join(self._membership)

    def position(self, partition: Partition) -> int:
        """Return the next offset to read of an owned partition."""
        return self._reader.position(partition)

    def assignment(self) -> frozenset[Partition]:
        """Return the partitions owned now."""
        return self._membership.owned

    def pause(self, partitions: frozenset[Partition]) -> None:
        """Return no records of these partitions, and of the others again."""
        self._reader.pause(partitions)

    def is_sure(self) -> bool:
        """Return whether the group has not expelled this member."""
        return self._group.is_member(self._membership)

    async def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        """Return records of the owned partitions; a pending rebalance comes first."""
        await lowlevel.checkpoint()
        deadline = anyio.current_time() + timeout_s
        while True:
            if self._group.must_rejoin(self._membership):
                await self._rejoin()
            records = await self._reader.take(max_records)
            remaining_s = deadline - anyio.current_time()
            if records or remaining_s <= 0:
                return records
            await self._reader.wait(remaining_s)

    async def commit(self, offsets: Offsets) -> None:
        """Commit offsets of owned partitions.

        Raises:
            IllegalGenerationError: a partition is not owned, or the group has moved on.
        """
        self._group.check(self._membership, offsets.keys())
        write = self._engine.start()
        write.write.offsets.update({(self._group.name, partition): entry for partition, entry in offsets.items()})
        await self._engine.finish(write)

    def close(self) -> None:
        """Leave the group."""
        self._group.leave(self._membership)
        self._reader.release()

    async def _rejoin(self) -> None:
        if self._membership.owned:
            await self._on_revoked(self._membership.owned)
        self._membership.owned = frozenset()
        self._reader.release()
        await self._group.settle(self._membership)
        owned = self._membership.owned
        self._reader.assign({partition: self._start(partition) for partition in sorted(owned)})
        await self._on_assigned(owned)

    def _start(self, partition: Partition) -> int:
        return self._engine.committed.get((self._group.name, partition), Committed(0)).offset
