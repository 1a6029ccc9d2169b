"""A member of a consumer group that fetches records into a window and commits what is done, until the window closes."""

from collections.abc import Awaitable, Callable
from math import inf

import anyio
import structlog
from msgspec import Struct

from service.client.window import Window, settle
from service.errors import IllegalGenerationError, SeedstreamError
from service.messaging.broker import Broker, Committed, GroupMember, Isolation, Partition

_BATCH = 500
_POLL_S = 0.2
_COMMIT_EVERY_S = 1.0
_LAST_COMMIT_S = 10.0

log = structlog.get_logger()


class Share(Struct, frozen=True):
    """A group's subscription to one topic.

    With `auto_commit`, done records are committed every second. With `warns_of_start`, a group without a committed
    offset is logged.
    """

    group: str
    topic: str
    auto_commit: bool
    warns_of_start: bool = True


async def ends_of(broker: Broker, topic: str) -> dict[Partition, int]:
    """Return the current end offset of each partition of a topic."""
    partitions = [Partition(topic, number) for number in range(await broker.partitions(topic))]
    return dict(await broker.end_offsets(partitions, Isolation.READ_COMMITTED))


async def until_closed(window: Window, work: Callable[[], Awaitable[None]]) -> None:
    """Work for a window until it is closed; an error of the work closes it."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_guarded, window, work)
        await window.closing.wait_for(lambda: window.closed, inf)
        tasks.cancel_scope.cancel()


async def _guarded(window: Window, work: Callable[[], Awaitable[None]]) -> None:
    """Hand an error of the work to the consumer, which raises it when it next asks."""
    try:
        await work()
    except SeedstreamError as error:
        window.fail(error)


async def keep_membership(broker: Broker, share: Share, window: Window) -> None:
    """Take part in a group, whatever the consumer does, until cancelled; then commit what is done, and leave."""
    ends = await ends_of(broker, share.topic)
    if share.warns_of_start:
        await _warn_of_a_start(broker, share, ends)
    member = _Member(share, window)
    async with broker.group_member(share.group, [share.topic], member.give_up, member.take_over) as member.source:
        window.open(ends)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_guarded, window, member.fetch)
                tasks.start_soon(_guarded, window, member.commit_on_time)
        finally:
            with anyio.move_on_after(_LAST_COMMIT_S, shield=True):
                await member.commit_at_last()


async def _warn_of_a_start(broker: Broker, share: Share, ends: dict[Partition, int]) -> None:
    """Log that a group starts at the beginning of a partition, since Kafka deletes the offsets of a group at rest."""
    fresh = [each.number for each, end in ends.items() if end and await broker.committed(share.group, each) is None]
    if fresh:
        log.warning(
            "group.starts_at_beginning",
            group=share.group,
            partitions=f"{len(fresh)} of {len(ends)}",
            reason="it has no committed offset there: it is new, or Kafka has deleted its offsets, which it does when "
            "a group has had no member for offsets.retention.minutes",
        )


class _Member:
    """Moves records from the group into the window, and commits their offsets."""

    source: GroupMember

    def __init__(self, share: Share, window: Window) -> None:
        self._share = share
        self._window = window
        self._lost: dict[Partition, int] = {}
        self._committing = anyio.Lock()

    async def fetch(self) -> None:
        """Poll for ever; while the window is full, poll for rebalances alone."""
        window = self._window
        while True:
            await window.demand.wait_for(lambda: not window.is_full, _POLL_S)
            most, timeout_s = (0, 0.0) if window.is_full else (_BATCH, _POLL_S)
            records = await self.source.poll(most, timeout_s)
            window.add(records, {each: self.source.position(each) for each in self.source.assignment()})

    async def commit_on_time(self) -> None:
        """Commit when the consumer requests it, and every second with `auto_commit`."""
        window = self._window
        while True:
            await window.commits.wait_for(lambda: window.has_requests, _COMMIT_EVERY_S)
            if window.has_requests:
                await self._commit_as_requested()
            elif self._share.auto_commit:
                await self._commit_if_allowed()

    async def give_up(self, _: frozenset[Partition]) -> None:
        """Commit what is done, and drop the records that the consumer has not taken."""
        if self._share.auto_commit:
            await self._commit_if_allowed()
        self._window.revoke()

    async def take_over(self, partitions: frozenset[Partition]) -> None:
        """Continue with new partitions."""
        lost = self._window.assign({each: self.source.position(each) for each in partitions})
        if lost:
            log.warning(
                "group.partitions_lost",
                group=self._share.group,
                partitions=", ".join(map(str, sorted(lost))),
                effect="their new owners get the tasks that were not done again",
            )
        self._lost |= lost

    async def commit_at_last(self) -> None:
        """Commit on exit; log a failure instead of raising, since it would hide the error that ended the stream."""
        window = self._window
        if self._share.auto_commit and window.failure is None:
            try:
                await self._commit()
            except SeedstreamError as error:
                log.warning("commit.failed", error=str(error))
        window.refuse_requests()

    async def _commit(self) -> None:
        async with self._committing:
            offsets = self._window.uncommitted()
            if offsets:
                await self.source.commit({each: Committed(offset) for each, offset in offsets.items()})
                self._window.committed(offsets)

    async def _commit_if_allowed(self) -> None:
        try:
            await self._commit()
        except IllegalGenerationError as error:
            log.warning("commit.refused", error=str(error))

    async def _commit_as_requested(self) -> None:
        requests = self._window.take_requests()
        try:
            await self._commit()
            self._check_lost()
        except IllegalGenerationError as error:
            settle(requests, error)
        except SeedstreamError as error:
            settle(requests, error)
            raise
        else:
            settle(requests, None)

    def _check_lost(self) -> None:
        """Raise if partitions were lost before what was done in them could be committed."""
        lost, self._lost = self._lost, {}
        if lost:
            raise IllegalGenerationError(
                f"group {self._share.group}: {', '.join(map(str, sorted(lost)))} have other owners now, and their "
                "uncommitted tasks are delivered again there; the offsets of the other partitions are committed"
            )
