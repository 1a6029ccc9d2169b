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
from anyio.abc import TaskGroup, TaskStatus

from service.errors import IllegalGenerationError
from service.messaging.broker import Broker, Committed, GroupMember, Isolation, Partition, Record
from service.runtime.answered_inputs import Answers
from service.runtime.commit_metadata import CommitMetadata, Ends, dump, load, whole_seconds
from service.runtime.in_flight import InFlight
from service.runtime.partition_state import PartitionState
from service.runtime.stage import In, Stage

_FOLLOW_S = 0.2

log = structlog.get_logger()


class Assignment(Generic[In]):
    """The partitions that one worker owns.

    `patience_s` is how long calls on a revoked partition may go on. The next owner waits `margin_s` longer, so that
    their answers can be written.
    """

    def __init__(
        self, stage: Stage[In], broker: Broker, run: str, calls: InFlight[In], *, patience_s: float, margin_s: float
    ) -> None:
        self.group = f"seedstream.{run}.{stage.name}"
        self._stage = stage.name
        self._results = stage.results.of(run)
        self._broker = broker
        self._calls = calls
        calls.on_answered = self._finish
        self._patience_s = patience_s
        self._margin_s = margin_s
        self._owned: dict[Partition, PartitionState] = {}
        self._ends: Ends = ()
        self._changing_hands = False
        self._committing = anyio.Lock()
        self._member: GroupMember
        self._background: TaskGroup

    @property
    def awaited(self) -> int:
        """Return how many answers of others are awaited."""
        return sum(state.awaited for state in self._owned.values())

    def open(self, member: GroupMember, background: TaskGroup) -> None:
        """Commit through this member; follow what others owe in the background."""
        self._member = member
        self._background = background

    def deliver(self, records: Sequence[Record]) -> list[Record]:
        """Note what a poll has returned; returns what is to be asked."""
        unanswered = []
        for partition, state in self._owned.items():
            mine = {record.offset: record for record in records if record.partition == partition}
            unanswered += state.deliver(mine, self._member.position(partition), self._ends)
        return unanswered

    async def note_ends(self) -> None:
        """Learn how far the results have got. A value that is a second old only makes a later recall read more."""
        width = await self._broker.partitions(self._results)
        partitions = [Partition(self._results, number) for number in range(width)]
        self._ends = tuple([await self._broker.end_offset(each, Isolation.READ_COMMITTED) for each in partitions])

    async def commit(self) -> None:
        """Commit what has changed. Not while partitions change hands: that would undo the note on their calls."""
        async with self._committing:
            if not self._changing_hands:
                await self._commit(self._changed_metadata())

    async def commit_at_last(self) -> None:
        """Commit when no call is in flight any more, nor will be; what was noted before on calls is void."""
        await self._commit(self._changed_metadata())

    async def on_revoked(self, _: frozenset[Partition]) -> None:
        """Commit everything with a note of the calls in flight, and begin no other until it is settled who has what."""
        self._changing_hands = True
        self._calls.hold_back()
        async with self._committing:
            if not await self._commit(self._revoked_metadata()):
                self._lose(frozenset(self._owned))

    async def on_assigned(self, partitions: frozenset[Partition]) -> None:
        """Own these partitions from now on, and no others."""
        self._lose(frozenset(self._owned) - partitions)
        self._changing_hands = False
        self._calls.let_begin()
        gained = partitions - self._owned.keys()
        if gained:
            await self._background.start(self._take_over, gained)

    def _finish(self, record: Record) -> None:
        """Note that the answer to a record is on the log, if its partition is still owned, or again."""
        if record.partition in self._owned:
            self._owned[record.partition].finish(record.offset)

    def _lose(self, partitions: frozenset[Partition]) -> None:
        self._calls.lose(partitions, self._patience_s)
        for partition in partitions:
            del self._owned[partition]

    def _metadata(self) -> dict[Partition, tuple[int, CommitMetadata]]:
        now = anyio.current_time()
        return {partition: state.note(self._ends, now) for partition, state in self._owned.items()}

    def _changed_metadata(self) -> dict[Partition, tuple[int, CommitMetadata]]:
        return {
            partition: (offset, note)
            for partition, (offset, note) in self._metadata().items()
            if (offset, note.calls) != self._owned[partition].recorded
        }

    def _revoked_metadata(self) -> dict[Partition, tuple[int, CommitMetadata]]:
        time_s = whole_seconds(self._patience_s)
        return {
            partition: (
                offset,
                note.with_calls({call.record.offset: time_s for call in self._calls.begun_on(partition)}),
            )
            for partition, (offset, note) in self._metadata().items()
        }

    async def _commit(self, notes: Mapping[Partition, tuple[int, CommitMetadata]]) -> bool:
        """Commit offsets with their notes; returns whether the group still takes that from this worker."""
        if not notes:
            return True
        try:
            await self._member.commit({each: Committed(at, self._text(note)) for each, (at, note) in notes.items()})
        except IllegalGenerationError as error:
            log.info("commit.too_late", stage=self._stage, error=str(error))
            return False
        for partition in notes.keys() & self._owned.keys():
            offset, note = notes[partition]
            self._owned[partition].recorded = (offset, note.calls)
        return True

    def _text(self, note: CommitMetadata) -> str:
        text, left_out = dump(note)
        if left_out:
            log.warning("note.cut_short", stage=self._stage, calls_that_may_be_asked_twice=left_out)
        return text

    async def _take_over(
        self, partitions: frozenset[Partition], *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Take partitions over, and then wait for what their earlier owners owe."""
        now = anyio.current_time()
        own = {partition: self._calls.regain(partition) for partition in partitions}
        left = {partition: await self._left_for(partition) for partition in partitions}
        since = tuple(map(min, zip(*(note.ends for _, note in left.values()), strict=True)))
        async with Answers.behind(self._broker, self._results, since) as answers:
            answered = await answers.now(partitions)
            gained = {}
            for partition, (start, note) in left.items():
                mine = {call.record.offset: call.answered for call in own[partition]}
                answered[partition] |= {offset for offset, done in mine.items() if done}
                awaited = {offset: now + time_s for offset, time_s in note.calls.items()}
                gained[partition] = PartitionState(start, note, answered[partition], awaited, set(mine))
            self._owned |= gained
            for partition, state in self._waiting(gained).items():
                log.info("record.awaited", stage=self._stage, partition=str(partition), records=state.awaited)
            task_status.started()
            await self._follow(answers, gained)

    async def _left_for(self, partition: Partition) -> tuple[int, CommitMetadata]:
        """Return where the last owner stopped, and its note."""
        committed = await self._broker.committed(self.group, partition)
        nothing_known = CommitMetadata((0,) * len(self._ends))
        if committed is None:
            return 0, nothing_known
        note = load(committed.note, len(self._ends))
        if note is None:
            log.warning("note.unreadable", stage=self._stage, partition=str(partition), note=committed.note)
        return committed.offset, note or nothing_known

    async def _follow(self, answers: Answers, gained: dict[Partition, PartitionState]) -> None:
        """Finish what others answer, and ask what they have not answered in time."""
        while waiting := self._waiting(gained):
            for partition, offset in await answers.next(_FOLLOW_S):
                if partition in waiting and waiting[partition].awaits(offset):
                    waiting[partition].finish(offset)
                    log.info("record.answered_elsewhere", stage=self._stage, record=f"{partition}/{offset}")
            for partition, state in self._waiting(waiting).items():
                for record in state.expire(anyio.current_time() - self._margin_s):
                    log.warning("record.await_expired", stage=self._stage, record=f"{partition}/{record.offset}")
                    self._calls.begin(record)

    def _waiting(self, gained: Mapping[Partition, PartitionState]) -> dict[Partition, PartitionState]:
        """Return those that still belong to this worker, as they did then, and wait for answers of others."""
        return {each: state for each, state in gained.items() if self._owned.get(each) is state and state.awaited}
