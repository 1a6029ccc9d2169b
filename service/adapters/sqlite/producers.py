"""Writing to the embedded broker, record by record or in transactions."""

from collections.abc import Sequence

import anyio

from service.adapters.sqlite.engine import LogEngine, Unfinished
from service.errors import BrokerError, FencedError
from service.messaging.broker import NewRecord, Offsets


class SqliteProducer:
    """Writes records, each call on its own."""

    def __init__(self, engine: LogEngine) -> None:
        self._engine = engine

    async def send(self, records: Sequence[NewRecord]) -> None:
        """Write records and wait until they are durable."""
        write = self._engine.start()
        self._engine.append(write, records)
        await self._engine.finish(write)


class SqliteTransactionalProducer:
    """Writes records and offsets that appear together. Its predecessor of the same id is fenced when it opens."""

    def __init__(self, engine: LogEngine, transactional_id: str) -> None:
        self._engine = engine
        self._id = transactional_id
        self._open: Unfinished | None = None
        self._failure: BrokerError | None = None
        self._fenced = False
        self._ending = anyio.Lock()

    async def fence(self) -> None:
        """Make every further operation fail; waits for a commit that is on its way, takes back what is open."""
        self._fenced = True
        async with self._ending:
            self._take_back()

    async def begin(self) -> None:
        """Open a transaction."""
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
        """Commit offsets of a group with the transaction."""
        write = self._transaction()
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
        """Take the transaction back."""
        self._check()
        self._take_back()

    async def close(self) -> None:
        """End what is open; bounded, since nothing is waited for but a write on its way."""
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
