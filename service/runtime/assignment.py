"""The partitions assigned to a worker, and how they move to another live worker without a call made twice.

At a rebalance no call begins. For every partition, the lowest unfinished offset is committed with the calls in flight
in its metadata (`service.runtime.commit_metadata`). Calls of a revoked partition run on, since they are paid for, and
their answers are written. The next owner reads the metadata, skips what is answered, waits for answers still to come,
and makes the calls that are not answered in time.

A regular commit does not name the worker's own calls: nobody should wait for a process that was killed. It does name
the calls of others that the worker waits for, since their process may live.
"""

from collections.abc import Mapping, Sequence
from typing import Generic

import anyio
import structlog
from anyio.abc import TaskStatus

from service.errors import IllegalGenerationError
from service.lm.concurrency import Slots
from service.messaging.broker import Broker, Committed, Isolation, Partition, Record
from service.runtime.answered_inputs import Answers
from service.runtime.commit_metadata import CommitMetadata, Ends, dump, load, whole_seconds
from service.runtime.in_flight import CallState, InFlight
from service.runtime.partition_state import PartitionState
from service.runtime.session import Session
from service.runtime.stage import In, Stage

_FOLLOW_S = 0.2

log = structlog.get_logger()


def group_of(stage: Stage[In], run: str) -> str:
    """Return the name of a stage's consumer group."""
    return f"seedstream.{run}.{stage.name}"


async def ends_of(broker: Broker, topic: str) -> Ends:
    """Return the read-committed end offset of each partition of a topic."""
    width = await broker.partitions(topic)
    partitions = [Partition(topic, number) for number in range(width)]
    return tuple([await broker.end_offset(each, Isolation.READ_COMMITTED) for each in partitions])


class Assignment(Generic[In]):
    """The partitions assigned to one worker, and its calls in flight; `ends` are the end offsets of the results now."""

    def __init__(self, stage: Stage[In], run: str, slots: Slots, session: Session, ends: Ends) -> None:
        self.calls = InFlight(stage, run, slots, session, self._finish)
        self._stage = stage.name
        self._group = group_of(stage, run)
        self._results = stage.results.of(run)
        self._session = session
        self._owned: dict[Partition, PartitionState] = {}
        self._ends = ends
        self._rebalancing = False
        self._committing = anyio.Lock()

    @property
    def awaited(self) -> int:
        """Return how many answers of other workers are awaited."""
        return sum(state.awaited for state in self._owned.values())

    def deliver(self, records: Sequence[Record]) -> list[Record]:
        """Enter polled records in the state of their partitions; returns those whose calls are to be made."""
        unanswered = []
        for partition, state in self._owned.items():
            mine = {record.offset: record for record in records if record.partition == partition}
            unanswered += state.deliver(mine, self._session.member.position(partition), self._ends)
        return unanswered

    async def note_ends(self) -> None:
        """Note the end offsets of the results. If they are a second old, a later owner reads a little more of them."""
        self._ends = await ends_of(self._session.broker, self._results)

    async def commit(self) -> None:
        """Commit the offsets that have changed; not during a rebalance, whose metadata names the calls in flight."""
        async with self._committing:
            if not self._rebalancing:
                await self._commit(self._changed_metadata())

    async def commit_at_last(self) -> None:
        """Commit when no call is in flight any more, nor will be; the metadata names no call of this worker."""
        await self._commit(self._changed_metadata())

    async def on_revoked(self, _: frozenset[Partition]) -> None:
        """Commit all offsets, with the calls in flight in their metadata; no call begins before the next assignment."""
        self._rebalancing = True
        self.calls.hold_back()
        async with self._committing:
            if not await self._commit(self._revoked_metadata()):
                self._lose(frozenset(self._owned))

    async def on_assigned(self, partitions: frozenset[Partition]) -> None:
        """Own these partitions from now on, and no others."""
        self._lose(frozenset(self._owned) - partitions)
        self._rebalancing = False
        self.calls.let_begin()
        gained = partitions - self._owned.keys()
        if gained:
            await self._session.background.start(self._take_over, gained)

    def _finish(self, record: Record) -> None:
        """Enter an acknowledged answer in the state of its partition, if that is owned still, or again."""
        if record.partition in self._owned:
            self._owned[record.partition].finish(record.offset)

    def _lose(self, partitions: frozenset[Partition]) -> None:
        self.calls.lose(partitions, self._session.patience_s)
        for partition in partitions:
            del self._owned[partition]

    def _metadata(self) -> dict[Partition, tuple[int, CommitMetadata]]:
        now = anyio.current_time()
        return {partition: state.metadata(self._ends, now) for partition, state in self._owned.items()}

    def _changed_metadata(self) -> dict[Partition, tuple[int, CommitMetadata]]:
        return {
            partition: (offset, metadata)
            for partition, (offset, metadata) in self._metadata().items()
            if (offset, metadata.calls) != self._owned[partition].recorded
        }

    def _revoked_metadata(self) -> dict[Partition, tuple[int, CommitMetadata]]:
        time_s = whole_seconds(self._session.patience_s)
        return {
            partition: (
                offset,
                metadata.with_calls({call.record.offset: time_s for call in self.calls.begun_on(partition)}),
            )
            for partition, (offset, metadata) in self._metadata().items()
        }

    async def _commit(self, all_metadata: Mapping[Partition, tuple[int, CommitMetadata]]) -> bool:
        """Commit offsets with their metadata; returns whether the group still takes commits of this worker."""
        if not all_metadata:
            return True
        try:
            await self._session.member.commit(
                {each: Committed(at, self._text(metadata)) for each, (at, metadata) in all_metadata.items()}
            )
        except IllegalGenerationError as error:
            log.info("commit.too_late", stage=self._stage, error=str(error))
            return False
        for partition in all_metadata.keys() & self._owned.keys():
            offset, metadata = all_metadata[partition]
            self._owned[partition].recorded = (offset, metadata.calls)
        return True

    def _text(self, metadata: CommitMetadata) -> str:
        text, left_out = dump(metadata)
        if left_out:
            log.warning("commit_metadata.cut_short", stage=self._stage, calls_that_may_be_asked_twice=left_out)
        return text

    async def _take_over(
        self, partitions: frozenset[Partition], *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Take partitions over, then wait for the answers to calls that their earlier owners have in flight."""
        now = anyio.current_time()
        own = {partition: self.calls.regain(partition) for partition in partitions}
        left = {partition: await self._left_for(partition) for partition in partitions}
        since = tuple(map(min, zip(*(metadata.ends for _, metadata in left.values()), strict=True)))
        async with Answers.behind(self._session.broker, self._results, since) as answers:
            answered = await answers.now({partition: start for partition, (start, _) in left.items()})
            gained = {}
            for partition, (start, metadata) in left.items():
                mine = {call.record.offset: call.state is CallState.ANSWERED for call in own[partition]}
                answered[partition] |= {offset for offset, done in mine.items() if done}
                awaited = {offset: now + time_s for offset, time_s in metadata.calls.items()}
                gained[partition] = PartitionState(start, metadata, answered[partition], awaited, set(mine))
            self._owned |= gained
            for partition, state in self._waiting(gained).items():
                log.info("record.awaited", stage=self._stage, partition=str(partition), records=state.awaited)
            task_status.started()
            await self._follow(answers, gained)

    async def _left_for(self, partition: Partition) -> tuple[int, CommitMetadata]:
        """Return the offset that the last owner committed, and its metadata."""
        committed = await self._session.broker.committed(self._group, partition)
        nothing_known = CommitMetadata((0,) * len(self._ends))
        if committed is None:
            return 0, nothing_known
        metadata = load(committed.metadata, len(self._ends))
        if metadata is None:
            log.warning(
                "commit_metadata.unreadable", stage=self._stage, partition=str(partition), metadata=committed.metadata
            )
        return committed.offset, metadata or nothing_known

    async def _follow(self, answers: Answers, gained: dict[Partition, PartitionState]) -> None:
        """Finish the records that other workers answer, and make the calls that are not answered in time."""
        while waiting := self._waiting(gained):
            for partition, offset in await answers.next(_FOLLOW_S):
                if partition in waiting and waiting[partition].awaits(offset):
                    waiting[partition].finish(offset)
                    log.info("record.answered_elsewhere", stage=self._stage, record=f"{partition}/{offset}")
            for partition, state in self._waiting(waiting).items():
                for record in state.expire(anyio.current_time() - self._session.margin_s):
                    log.warning("record.await_expired", stage=self._stage, record=f"{partition}/{record.offset}")
                    self.calls.begin(record)

    def _waiting(self, gained: Mapping[Partition, PartitionState]) -> dict[Partition, PartitionState]:
        """Return the partitions that have been owned without a break since, and that await answers of others."""
        return {each: state for each, state in gained.items() if self._owned.get(each) is state and state.awaited}
