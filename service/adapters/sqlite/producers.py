"""Producers of the embedded broker, with and without transactions."""

from collections.abc import Sequence

import anyio

from service.adapters.sqlite.engine import LogEngine, Unfinished
from service.errors import BrokerError, FencedError
from service.messaging.broker import NewRecord, Offsets


class SqliteProducer:
    """Writes records without transactions."""

    def __init__(self, engine: LogEngine) -> None:
        self._engine = engine

    async def send(self, records: Sequence[NewRecord]) -> None:
        """Write records and wait until they are durable."""
        write = self._engine.start()
        self._engine.append(write, records)
        await self._engine.finish(write)


class SqliteTransactionalProducer:
    """Writes records and offsets in transactions, so that they become visible together.

    Opening it fences the previous producer with the same id.
    """

    def __init__(self, engine: LogEngine, transactional_id: str) -> None:
        self._engine = engine
        self._id = transactional_id
        self._open: Unfinished | None = None
        self._failure: BrokerError | None = None
        self._fenced = False
        self._ending = anyio.Lock()

    async def fence(self) -> None:
        """Make every further operation fail; wait for a commit in progress, and abort an open transaction."""
        self._fenced = True
        async with self._ending:
            self._take_back()

    async def begin(self) -> None:
        self._check()
        if self._open is not None:
            raise BrokerError(f"{self._id}: expected no open transaction, and one is open; commit or abort it first")
        self._open = self._engine.start()

    async def send(self, records: Sequence[NewRecord]) -> None:
        """Write records inside the transaction."""
        write = self._transaction()
        try:
            self._engine.append(write, records)
        except BrokerError as error:
            self._failure = error
            raise

    async def send_offsets(self, group: str, offsets: Offsets) -> None:
        """Add offsets of a group to the transaction; they are committed with it."""
        write = self._transaction()
        for name, _ in write.write.offsets:
            if name != group:
                raise BrokerError(f"{self._id}: expected offsets of group {name} alone, got some of {group}")
        write.write.offsets.update({(group, partition): committed for partition, committed in offsets.items()})

    async def commit(self) -> None:
        """Make the transaction durable, then visible."""
        async with self._ending:
            write = self._transaction()
            if self._failure is not None:
                raise BrokerError(f"{self._id}: a send of this transaction failed; it can only be aborted") from (
                    self._failure
                )
            self._engine.mark(write)
            self._open = None
            await self._engine.finish(write)

    async def abort(self) -> None:
        """Abort the transaction, if one is open."""
        self._check()
        self._take_back()

    async def close(self) -> None:
        """Abort an open transaction; the only wait is for a commit in progress."""
        with anyio.CancelScope(shield=True):
            async with self._ending:
                self._take_back()

    def _take_back(self) -> None:
        if self._open is not None:
            self._engine.mark(self._open)
            self._engine.take_back(self._open)
        self._open = self._failure = None

    def _transaction(self) -> Unfinished:
        self._check()
        if self._open is None:
            raise BrokerError(f"{self._id}: expected an open transaction, and there is none; begin one first")
        return self._open

    def _check(self) -> None:
        if self._fenced:
            raise FencedError(f"{self._id}: another producer opened this transactional id; this one must stop")
