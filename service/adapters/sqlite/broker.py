"""The broker port on one SQLite file."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from service.adapters.sqlite.engine import LogEngine
from service.adapters.sqlite.groups import Group
from service.adapters.sqlite.producers import SqliteProducer, SqliteTransactionalProducer
from service.adapters.sqlite.readers import SqliteGroupMember, SqliteReader
from service.messaging.broker import Committed, Isolation, Listener, Member, Offsets, Partition, TopicSpec
from service.messaging.record_size import MAX_RECORD_BYTES

_REBALANCE_TIMEOUT_S = 30.0


class SqliteBroker:
    """The embedded broker: one file, and one process that writes to it."""

    def __init__(self, engine: LogEngine, rebalance_timeout_s: float) -> None:
        self._engine = engine
        self._rebalance_timeout_s = rebalance_timeout_s
        self._groups: dict[str, Group] = {}
        self._transactional: dict[str, SqliteTransactionalProducer] = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path: Path,
        *,
        read_only: bool = False,
        keep_empty: bool = True,
        max_record_bytes: int = MAX_RECORD_BYTES,
        rebalance_timeout_s: float = _REBALANCE_TIMEOUT_S,
    ) -> "AsyncIterator[SqliteBroker]":
        """Open the log in a file, which is created if needed; with `read_only`, another process may be writing to it.

        Unless `keep_empty`, a file that was created here and has no record at the end is deleted.

        Raises:
            RunLockedError: another process has the file open for writing.
            DamagedLogError: the file is damaged; later reads raise it too.
            BrokerError: the file cannot be opened, or is not a log of this version.
        """
        engine = await LogEngine.open(
            path, read_only=read_only, keep_empty=keep_empty, max_record_bytes=max_record_bytes
        )
        try:
            yield cls(engine, rebalance_timeout_s)
        finally:
            await engine.close()

    async def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        """Create the topics that do not exist yet."""
        await self._engine.create(topics)

    async def topic_names(self) -> list[str]:
        """Return the names of all topics in the file."""
        return self._engine.topic_names()

    async def partitions(self, topic: str) -> int:
        return len(self._engine.partitions(topic))

    async def topic_ids(self, topics: Sequence[str]) -> Mapping[str, str]:  # noqa: ARG002 - the signature is the port's
        """Return no ids: a topic of a file is never deleted."""
        return {}

    async def check_rights(self, reads: Sequence[str], writes: Sequence[str]) -> None:
        """Check that the topics exist: whoever has opened the file may read and write them."""
        for topic in (*writes, *reads):
            await self.partitions(topic)

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[SqliteProducer]:
        """Open a producer without transactions."""
        yield SqliteProducer(self._engine)

    @asynccontextmanager
    async def transactional_producer(self, transactional_id: str) -> AsyncIterator[SqliteTransactionalProducer]:
        """Open a transactional producer; it fences the previous producer with the same id."""
        predecessor = self._transactional.get(transactional_id)
        producer = self._transactional[transactional_id] = SqliteTransactionalProducer(self._engine, transactional_id)
        if predecessor is not None:
            await predecessor.fence()
        try:
            yield producer
        finally:
            await producer.close()

    @asynccontextmanager
    async def reader(self, partitions: Sequence[Partition]) -> AsyncIterator[SqliteReader]:
        """Open a reader at the beginning of each partition."""
        reader = SqliteReader(self._engine)
        reader.assign(dict.fromkeys(partitions, 0))
        try:
            yield reader
        finally:
            reader.release()

    @asynccontextmanager
    async def group_member(
        self, group: str, topics: Sequence[str], on_revoked: Listener, on_assigned: Listener
    ) -> AsyncIterator[SqliteGroupMember]:
        """Join a consumer group."""
        for topic in topics:
            self._engine.partitions(topic)
        joined = self._groups.setdefault(group, Group(group, self._engine.partitions, self._rebalance_timeout_s))
        member = SqliteGroupMember(self._engine, joined, tuple(topics), on_revoked, on_assigned)
        try:
            yield member
        finally:
            member.close()

    async def committed(self, group: str, partition: Partition) -> Committed | None:
        """Return the offset and metadata that a group has committed for a partition, None if it has committed none."""
        return self._engine.committed.get((group, partition))

    async def committed_offsets(self, group: str, partitions: Sequence[Partition]) -> Offsets:
        """Return the committed offsets of a group for those of the partitions that have one."""
        found = {partition: await self.committed(group, partition) for partition in partitions}
        return {partition: each for partition, each in found.items() if each is not None}

    async def members(self, group: str) -> Sequence[Member]:
        """Return the current members of a group, all of which are in this process."""
        joined = self._groups.get(group)
        return [] if joined is None else [Member(f"pid {os.getpid()}", owned) for owned in joined.owned()]

    async def end_offset(self, partition: Partition, isolation: Isolation) -> int:
        """Return the offset behind the last record; if read-committed, behind the last stable one."""
        return (await self.end_offsets([partition], isolation))[partition]

    async def end_offsets(self, partitions: Sequence[Partition], isolation: Isolation) -> Mapping[Partition, int]:
        """Return the `end_offset` of each partition, also if another process writes the file."""
        if self._engine.read_only:
            await self._engine.refresh()
        logs = {partition: self._engine.log(partition) for partition in partitions}
        committed = isolation is Isolation.READ_COMMITTED
        return {each: log.readable_end if committed else log.next_offset for each, log in logs.items()}
