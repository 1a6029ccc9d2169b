"""A live stream of a run's finished tasks, for other programs.

    from service.client import open_tasks

    async with open_tasks("kafka://localhost:9092", "default", start="now") as tasks:
        async for task in tasks:
            print(task.instruction)

By default, each reader gets all tasks from the beginning, and no offsets are committed. The members of a `group` share
the partitions of the stream and continue at the group's committed offsets.

A task is done when the next one is requested, or when `done` is called before that. `commit` commits the offsets of
done tasks for the group. A task that was delivered and not committed is delivered again, to the next owner of its
partition after a crash or a rebalance. Delivery is therefore at least once.
"""

import re
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, Self, cast

import anyio
import structlog
from anyio import lowlevel, to_thread

from service.bootstrap.open_run import open_existing
from service.errors import BrokerError, ConfigurationError, DecodeError, IllegalGenerationError
from service.messaging import codec
from service.messaging.broker import Broker, Committed, GroupMember, Isolation, Partition, Reader, Record
from service.messaging.messages import FinishedTask
from service.messaging.topics import TASKS
from service.settings import Settings, load_settings

__all__ = ["Delivery", "FinishedTask", "Start", "Subscription", "Tasks", "open_stream", "open_tasks"]

_BATCH = 500
_POLL_S = 0.2
_COMMIT_EVERY_S = 1.0
_LAST_COMMIT_S = 10.0
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

log = structlog.get_logger()

Start = Literal["beginning", "now"] | Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Subscription:
    """The options of a stream.

    `start` is `beginning`, `now`, or the next offset to read by partition number; other partitions start at the
    beginning. A group starts at its committed offsets, else at the beginning. With `until_end`, the stream ends at the
    end offsets of the time when it was opened; without, it does not end. With `auto_commit`, the offsets of done tasks
    are committed every second, before partitions are revoked, and at the end.
    """

    start: Start | None = None
    group: str | None = None
    until_end: bool = False
    auto_commit: bool = False

    def __post_init__(self) -> None:
        """Raise `ConfigurationError` for an invalid group name or options that exclude each other."""
        if self.group is not None and _GROUP.fullmatch(self.group) is None:
            raise ConfigurationError(
                f"group: expected letters and digits, with . _ - between them, at most 100, got {self.group!r}"
            )
        if self.group is not None and self.start is not None:
            raise ConfigurationError(
                f"group {self.group!r}: a group starts where it committed, else at the beginning, and nowhere else; "
                "leave out either the group or the start"
            )
        if self.auto_commit and self.group is None:
            raise ConfigurationError("auto_commit: expected a group to commit for, got none")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A finished task and its record."""

    task: FinishedTask
    record: Record


class Tasks:
    """The stream of a run's finished tasks; not safe for concurrent readers. `unreadable` counts skipped records."""

    def __init__(self, subscription: Subscription, topic: str, ends: Mapping[Partition, int]) -> None:
        self.unreadable = 0
        self._subscription = subscription
        self._topic = topic
        self._ends = ends
        self._source: Reader | GroupMember
        self._read_to: dict[Partition, int] | None = None
        self._waiting: deque[Record] = deque()
        self._taken: list[Delivery] = []
        self._committed: dict[Partition, int] = {}
        self._commit_at = 0.0
        self._stopped = False

    @classmethod
    @asynccontextmanager
    async def of(cls, broker: Broker, run: str, subscription: Subscription) -> AsyncIterator[Self]:
        """Open the stream of a run on an open broker."""
        topic = TASKS.of(run)
        partitions = [Partition(topic, number) for number in range(await broker.partitions(topic))]
        ends = {each: await broker.end_offset(each, Isolation.READ_COMMITTED) for each in partitions}
        tasks = cls(subscription, topic, ends)
        opened = tasks._reading(broker) if subscription.group is None else tasks._sharing(broker, run)
        async with opened:
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
        """
        self.done()
        while not self._taken and not self._at_end():
            await lowlevel.checkpoint()
            if not self._waiting:
                await self._fill()
            while self._waiting and len(self._taken) < most:
                self._hand_out(self._waiting.popleft())
        return list(self._taken)

    def done(self) -> None:
        """Mark all delivered tasks as done without requesting more."""
        self._taken.clear()

    def stop(self) -> None:
        """End the stream within a fraction of a second; tasks not delivered yet stay for the next reader."""
        self._stopped = True

    async def commit(self) -> None:
        """Commit the offsets of done tasks for the group.

        Raises:
            IllegalGenerationError: the group has rebalanced, for instance because this member did not poll for too
                long. Other members get the uncommitted tasks; the next request for a task joins the group again.
            ConfigurationError: the stream has no group.
        """
        if self._subscription.group is None:
            raise ConfigurationError("commit: expected a group to commit for, got none")
        offsets = self._read_to.copy() if self._read_to is not None else {}
        for record in reversed([*(delivery.record for delivery in self._taken), *self._waiting]):
            offsets[record.partition] = record.offset
        news = {each: offset for each, offset in offsets.items() if self._committed.get(each) != offset}
        if news:
            member = cast("GroupMember", self._source)
            await member.commit({partition: Committed(offset) for partition, offset in news.items()})
            self._committed |= news

    @asynccontextmanager
    async def _reading(self, broker: Broker) -> AsyncIterator[None]:
        starts = _starts(self._subscription.start, self._ends)
        async with broker.reader(list(self._ends)) as reader:
            for partition, offset in starts.items():
                reader.seek(partition, offset)
            self._source = reader
            self._read_to = {partition: reader.position(partition) for partition in self._ends}
            yield

    @asynccontextmanager
    async def _sharing(self, broker: Broker, run: str) -> AsyncIterator[None]:
        group = f"seedstream.{run}.consume.{self._subscription.group}"
        async with broker.group_member(group, [self._topic], self._give_up, self._take_over) as self._source:
            try:
                yield
            finally:
                with anyio.move_on_after(_LAST_COMMIT_S, shield=True):
                    await self._commit_at_last()

    async def _give_up(self, _: frozenset[Partition]) -> None:
        if self._subscription.auto_commit:
            await self._commit_if_allowed()

    async def _take_over(self, partitions: frozenset[Partition]) -> None:
        self._read_to = {partition: self._source.position(partition) for partition in partitions}
        self._committed = {}

    async def _commit_if_allowed(self) -> None:
        try:
            await self.commit()
        except IllegalGenerationError as error:
            log.warning("commit.refused", error=str(error))
        self._commit_at = anyio.current_time() + _COMMIT_EVERY_S

    async def _commit_at_last(self) -> None:
        """Commit on exit; log a failure instead of raising, since it would hide the error that ended the stream."""
        if self._subscription.auto_commit:
            try:
                await self.commit()
            except BrokerError as error:
                log.warning("commit.failed", error=str(error))

    async def _fill(self) -> None:
        """Wait briefly for records; the poll is shielded from cancellation, so that its records are not lost."""
        if self._subscription.auto_commit and anyio.current_time() >= self._commit_at:
            await self._commit_if_allowed()
        with anyio.CancelScope(shield=True):
            self._waiting.extend(await self._source.poll(_BATCH, _POLL_S))
        self._read_to = {partition: self._source.position(partition) for partition in self._read_to or ()}

    def _hand_out(self, record: Record) -> None:
        try:
            self._taken.append(Delivery(codec.decode(TASKS, record), record))
        except DecodeError as error:
            self.unreadable += 1
            log.warning("record.unreadable", error=str(error))

    def _at_end(self) -> bool:
        if self._stopped:
            return True
        if not self._subscription.until_end or self._waiting or self._read_to is None:
            return False
        return all(position >= self._ends.get(each, 0) for each, position in self._read_to.items())


def _starts(start: Start | None, ends: Mapping[Partition, int]) -> dict[Partition, int]:
    """Return the start offsets of partitions that do not start at their beginning.

    Raises:
        ConfigurationError: a partition does not exist, or ends before its start offset.
    """
    if start is None or start == "beginning":
        return {}
    if start == "now":
        return dict(ends)
    numbers = {partition.number: partition for partition in ends}
    for number, offset in start.items():
        if number not in numbers:
            raise ConfigurationError(f"start {number}:{offset}: expected a partition from 0 to {len(ends) - 1}")
        if not 0 <= offset <= ends[numbers[number]]:
            raise ConfigurationError(
                f"start {number}:{offset}: expected an offset from 0 to {ends[numbers[number]]}, where partition "
                f"{number} ends"
            )
    return {numbers[number]: offset for number, offset in start.items()}


@asynccontextmanager
async def open_tasks(
    broker: str | None = None,
    run: str | None = None,
    *,
    start: Start | None = None,
    group: str | None = None,
    until_end: bool = False,
    auto_commit: bool = False,
) -> AsyncIterator[Tasks]:
    """Open the stream of a run's finished tasks; `Subscription` describes the options.

    `broker` and `run` override the settings (`SEEDSTREAM_*`, `seedstream.toml`), which also hold the credentials.

    Raises:
        ConfigurationError: an option is invalid; `RunNotFoundError` if the run does not exist.
        BrokerError: the log cannot be reached; `RunLockedError` if a group is set and another process has the SQLite
            log open.
    """
    subscription = Subscription(start, group, until_end, auto_commit)
    settings = await to_thread.run_sync(load_settings, {"broker": broker, "run": run})
    async with open_stream(settings, subscription) as tasks:
        yield tasks


@asynccontextmanager
async def open_stream(settings: Settings, subscription: Subscription) -> AsyncIterator[Tasks]:
    """Open the stream of the run that the settings name, under a subscription."""
    async with (
        open_existing(settings, writable=subscription.group is not None) as broker,
        Tasks.of(broker, settings.run, subscription) as tasks,
    ):
        yield tasks
