"""The stream of finished tasks, as a consumer sees it."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from typing import Any, Protocol, Self

import anyio
import structlog
from anyio import lowlevel
from msgspec import Struct

from service.client.membership import Share, ends_of, keep_membership, until_closed
from service.client.subscription import Subscription, starts
from service.client.window import Window, pop_read
from service.errors import ConfigurationError, DecodeError, NewerVersionError
from service.messaging import codec
from service.messaging.broker import Broker, Partition, Reader, Record
from service.messaging.messages import FinishedTask
from service.messaging.skipped_records import SkippedRecords
from service.messaging.topics import TASKS
from service.task_groups import unwrapped_task_group

_BATCH = 500
_WAIT_S = 0.2

log = structlog.get_logger()


class Delivery(Struct, frozen=True):
    """A finished task and its record."""

    task: FinishedTask
    record: Record


class Source(Protocol):
    """The source of a stream's records: the whole topic, or this member's share of a group's."""

    async def take(self, most: int, read: Callable[[Record], Delivery | None]) -> list[Delivery]:
        """Return what `read` makes of at most `most` records, or an empty list if none come for a moment."""
        ...

    def done(self) -> None:
        """Mark all records that were taken as done."""
        ...

    def at_end(self) -> bool:
        """Return whether all records before the end offsets have been taken; those of the opening, at first."""
        ...

    def end_at(self, ends: Mapping[Partition, int]) -> None:
        """Set the end offsets."""
        ...

    async def commit(self) -> None:
        """Commit the offsets of the records that are done."""
        ...


class Tasks:
    """The stream of a run's finished tasks; not safe for concurrent readers. `unreadable` counts skipped records."""

    def __init__(self, source: Source, *, until_end: bool) -> None:
        self.unreadable = 0
        self.skipped = SkippedRecords(self)
        self._source = source
        self._until_end = until_end
        self._stopped = False

    @classmethod
    @asynccontextmanager
    async def of(cls, broker: Broker, run: str, subscription: Subscription) -> AsyncIterator[Self]:
        """Open the stream of a run on an open broker."""
        if subscription.group is None:
            opened = _reading(broker, run, subscription)
        else:
            opened = _sharing(broker, share_of(run, subscription))
        async with opened as source:
            with cls.over(source, until_end=subscription.until_end) as tasks:
                yield tasks

    @classmethod
    @asynccontextmanager
    async def shared(cls, broker: Broker, share: Share) -> AsyncIterator[Self]:
        """Open a group member's share of the stream on an open broker."""
        async with _sharing(broker, share) as source:
            with cls.over(source, until_end=False) as tasks:
                yield tasks

    @classmethod
    @contextmanager
    def over(cls, source: Source, *, until_end: bool) -> Iterator[Self]:
        """Open the stream over a source; at the end, the number of skipped records is logged."""
        tasks = cls(source, until_end=until_end)
        with closing(tasks.skipped):
            yield tasks

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FinishedTask:
        taken = await self.take(1)
        if not taken:
            raise StopAsyncIteration
        return taken[0].task

    async def take(self, most: int) -> list[Delivery]:
        """Wait for the next tasks and return at most `most` of them; an empty list means the end of the stream.

        Earlier tasks count as done. A record that cannot be read is logged, counted in `unreadable` and skipped.

        Raises:
            BrokerError: the log can no longer be read.
            NewerVersionError: a newer version wrote the next task, and this one cannot read it.
        """
        taken: list[Delivery] = []
        while not taken:
            self.done()
            await lowlevel.checkpoint()
            if self._stopped or (self._until_end and self._source.at_end()):
                break
            taken = await self._source.take(most, self._delivery)
        return taken

    def done(self) -> None:
        """Mark all delivered tasks as done without requesting more."""
        self._source.done()

    def stop(self) -> None:
        """End the stream within a fraction of a second; tasks not delivered yet stay for the next reader."""
        self._stopped = True

    def end_at(self, ends: Mapping[Partition, int]) -> None:
        """End the stream at these end offsets."""
        self._source.end_at(ends)
        self._until_end = True

    async def commit(self) -> None:
        """Commit the offsets of done tasks for the group.

        Raises:
            IllegalGenerationError: partitions have gone to other members before what was done in them was committed;
                those members get the tasks again.
            ConfigurationError: the stream has no group.
        """
        await self._source.commit()

    def _delivery(self, record: Record) -> Delivery | None:
        try:
            return Delivery(codec.decode(TASKS, record), record)
        except NewerVersionError:
            raise
        except DecodeError as error:
            self.unreadable += 1
            self.skipped.skip("record.unreadable", record, error)
            return None


class _Reading:
    """All records, outside any group."""

    def __init__(self, reader: Reader, ends: Mapping[Partition, int]) -> None:
        self._reader = reader
        self._ends = ends
        self._waiting: deque[Record] = deque()

    async def take(self, most: int, read: Callable[[Record], Delivery | None]) -> list[Delivery]:
        if not self._waiting:
            with anyio.CancelScope(shield=True):  # records of a poll that is cancelled would be lost
                self._waiting.extend(await self._reader.poll(_BATCH, _WAIT_S))
        await lowlevel.checkpoint_if_cancelled()
        return pop_read(self._waiting, most, read)[1]

    def done(self) -> None:
        """Do nothing: without a group, nothing is committed."""

    def end_at(self, ends: Mapping[Partition, int]) -> None:
        self._ends = ends

    def at_end(self) -> bool:
        return not self._waiting and all(self._reader.position(each) >= end for each, end in self._ends.items())

    async def commit(self) -> None:
        raise ConfigurationError("commit: expected a group to commit for, got none")


class Sharing:
    """A group member's share of the records, from its window."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self.done = window.done
        self.at_end = window.at_end
        self.end_at = window.open
        self.commit = window.commit

    async def take(self, most: int, read: Callable[[Record], Delivery | None]) -> list[Delivery]:
        window = self._window
        await window.news.wait_for(lambda: window.has_news, _WAIT_S)
        if window.failure is not None:
            raise window.failure
        return window.take(most, read)


@asynccontextmanager
async def _reading(broker: Broker, run: str, subscription: Subscription) -> AsyncIterator[Source]:
    ends = await ends_of(broker, TASKS.of(run))
    at = starts(subscription.start, ends)
    async with broker.reader(list(ends)) as reader:
        for partition, offset in at.items():
            reader.seek(partition, offset)
        yield _Reading(reader, ends)


@asynccontextmanager
async def _sharing(broker: Broker, share: Share) -> AsyncIterator[Source]:
    window = Window()
    async with served(window, lambda: until_closed(window, lambda: keep_membership(broker, share, window))):
        yield Sharing(window)


def share_of(run: str, subscription: Subscription) -> Share:
    """Return the share of a run's tasks that a subscription with a group names."""
    return Share(f"seedstream.{run}.consume.{subscription.group}", TASKS.of(run), subscription.auto_commit)


@asynccontextmanager
async def served(window: Window, serve: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Serve a window beside the block; the block begins when the group is joined, and its errors pass unchanged."""
    async with unwrapped_task_group() as tasks:
        tasks.start_soon(serve)
        try:
            await window.wait_until_open()
            yield
        finally:
            window.close()
