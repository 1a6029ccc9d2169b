"""The partitions assigned to a worker, and how they move to another live worker without a call made twice.

At a rebalance no call begins. For every partition, the lowest unfinished offset is committed with the calls in flight
in its metadata (`service.runtime.commit_metadata`). Calls of a revoked partition run on, since they are paid for, and
their answers are written. The next owner reads the metadata, skips what is answered, waits for answers still to come,
and makes the calls that are not answered in time. It reads beside its polls, since the group expels who does not poll;
until it knows what is answered, the partition is paused.

A regular commit does not name the worker's own calls: nobody should wait for a process that was killed. It does name
the calls of others that the worker waits for, since their process may live.

A call that does not end holds up the committed offset, and everything behind it is kept in memory and read again by the
next owner. So a partition is paused as well once many records are behind its lowest unfinished one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Generic

import anyio
import structlog

from service.errors import IllegalGenerationError
from service.lm.concurrency import Slots
from service.messaging.broker import Broker, Committed, Isolation, Partition, Record
from service.messaging.start_offset import OFFSETS_EXPIRE, check_not_beyond_end
from service.runtime.answer_keys import ANY
from service.runtime.answered_inputs import Answer, Answers
from service.runtime.commit_metadata import CommitMetadata, Ends, dump, load, whole_seconds
from service.runtime.in_flight import InFlight
from service.runtime.partition_state import PartitionState
from service.runtime.session import Session
from service.runtime.stage import In, Stage

_FOLLOW_S = 0.2
_TOLD_AFTER_S = 5.0
# The least limit of records behind the lowest unfinished one; more are allowed where more calls may be in flight.
_MOST_BEHIND = 10_000
_MOST_BEHIND_EACH_CALL = 4

log = structlog.get_logger()


def group_of(stage: Stage[In], run: str) -> str:
    """Return the name of a stage's consumer group."""
    return f"seedstream.{run}.{stage.name}"


async def ends_of(broker: Broker, topic: str) -> Ends:
    """Return the read-committed end offset of each partition of a topic."""
    width = await broker.partitions(topic)
    partitions = [Partition(topic, number) for number in range(width)]
    ends = await broker.end_offsets(partitions, Isolation.READ_COMMITTED)
    return tuple(ends[each] for each in partitions)


class Assignment(Generic[In]):
    """The partitions assigned to one worker, and its calls in flight; `ends` are the end offsets of the results now.

    A partition is owned once it is known what is answered of it. Until then it is in `_recalling`, with the scope of
    the task that finds out.
    """

    def __init__(self, stage: Stage[In], run: str, slots: Slots, session: Session, ends: Ends) -> None:
        self.calls = InFlight(stage, run, slots, session, self._finish)
        self._stage = stage.name
        self._group = group_of(stage, run)
        self._results = stage.results.of(run)
        self._session = session
        self._owned: dict[Partition, PartitionState] = {}
        self._recalling: dict[Partition, anyio.CancelScope] = {}
        self._without_offset: set[Partition] = set()
        self._held_up: frozenset[Partition] = frozenset()
        self._most_behind = max(_MOST_BEHIND, _MOST_BEHIND_EACH_CALL * slots.total)
        self._ends = ends
        self._generation = 0
        self._rebalancing = False
        self._revoked_s = 0.0
        self._settled = anyio.Event()
        self._committing = anyio.Lock()

    @property
    def awaited(self) -> int:
        """Return how many answers of other workers are awaited."""
        return sum(state.awaited for state in self._owned.values())

    def deliver(self, records: Sequence[Record]) -> list[Record]:
        """Enter polled records in the state of their partitions; returns those whose calls are to be made."""
        delivered: dict[Partition, dict[int, Record]] = defaultdict(dict)
        for record in records:
            delivered[record.partition][record.offset] = record
        unanswered = []
        for partition, state in self._owned.items():
            position = self._session.member.position(partition)
            unanswered += state.deliver(delivered.get(partition, {}), position, self._ends)
        self._pause()
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
        """Commit all offsets, with the calls in flight in their metadata; no call begins before the next assignment.

        The time that the metadata grants these calls begins now: their next owner counts from its own assignment, of
        which it may learn long before this worker learns of the loss.
        """
        self._revoked_s = anyio.current_time()
        self._rebalancing, self._settled = True, anyio.Event()
        self.calls.hold_back()
        async with self._committing:
            if not await self._commit(self._revoked_metadata()):
                self._lose(frozenset(self._owned))
                self._forget(frozenset(self._recalling))

    async def on_assigned(self, partitions: frozenset[Partition]) -> None:
        """Own these partitions from now on, and no others, as soon as it is known what is answered of them."""
        if not self._rebalancing:
            self._revoked_s = anyio.current_time()
        self._lose(frozenset(self._owned) - partitions)
        self._forget(self._recalling.keys() - partitions)
        self._generation += 1
        self._rebalancing = False
        self._settled.set()
        self.calls.let_begin()
        self._recall(partitions - self._owned.keys() - self._recalling.keys())
        self._pause()

    def _finish(self, record: Record) -> None:
        """Enter an acknowledged answer in the state of its partition, if that is owned still, or again."""
        if record.partition in self._owned:
            self._owned[record.partition].finish(record.offset)

    def _lose(self, partitions: frozenset[Partition]) -> None:
        self.calls.lose(partitions, self._revoked_s)
        for partition in partitions:
            del self._owned[partition]

    def _pause(self) -> None:
        """Get no records of partitions of which it is not known what is answered, and none where too many wait."""
        held_up = frozenset(each for each, state in self._owned.items() if state.unfinished >= self._most_behind)
        for partition in held_up - self._held_up:
            offset, _ = self._owned[partition].metadata(self._ends, anyio.current_time())
            log.warning(
                "partition.held_up", stage=self._stage, by=f"{partition}/{offset}", records_behind=self._most_behind
            )
        self._held_up = held_up
        self._session.member.pause(held_up.union(self._recalling))

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
        time_s = whole_seconds(self._session.limits.revoked_s)
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

    def _recall(self, partitions: frozenset[Partition]) -> None:
        """Begin to find out what is answered of these partitions."""
        if partitions:
            recall = anyio.CancelScope()
            self._recalling |= dict.fromkeys(partitions, recall)
            self._session.background.start_soon(self._take_over, recall, partitions)

    def _forget(self, partitions: AbstractSet[Partition]) -> None:
        """Stop to find out what is answered of these partitions."""
        recalls = [self._recalling.pop(partition) for partition in partitions]
        for recall in recalls:
            if recall not in self._recalling.values():
                recall.cancel()

    async def _take_over(self, recall: anyio.CancelScope, partitions: frozenset[Partition]) -> None:
        with recall:
            await self._find_out(recall, partitions)

    async def _find_out(self, recall: anyio.CancelScope, partitions: frozenset[Partition]) -> None:
        """Take partitions over, then wait for the answers to calls that their earlier owners have in flight."""
        generation, began_s = self._generation, anyio.current_time()
        own = {partition: self.calls.begun_on(partition) for partition in partitions}
        left = {partition: await self._left_for(partition) for partition in partitions}
        since = tuple(map(min, zip(*(metadata.ends for _, metadata in left.values()), strict=True)))
        async with Answers.behind(self._session.broker, self._results, since) as answers:
            answered = await answers.now({partition: start for partition, (start, _) in left.items()})
            while self._rebalancing or generation != self._generation:
                await self._settled.wait()
                generation = self._generation
                left = {each: what for each, what in left.items() if await self._is_left(recall, each, what)}
                if not left:
                    return
                answered = await answers.now({partition: start for partition, (start, _) in left.items()})
            gained = {}  # from here on nothing is awaited until the partitions are owned
            for partition, (start, metadata) in left.items():
                if answered[partition] and partition in self._without_offset:
                    log.warning("offset.missing", group=self._group, partition=str(partition), hint=OFFSETS_EXPIRE)
                mine = self.calls.regain(own[partition])
                answered[partition] |= {offset: ANY for offset, done in mine.items() if done}
                awaited = {offset: began_s + time_s for offset, time_s in metadata.calls.items()}
                gained[partition] = PartitionState(start, metadata, answered[partition], awaited, set(mine))
                del self._recalling[partition]
            self._owned |= gained
            self._pause()
            self._tell(gained, sum(map(len, answered.values())), anyio.current_time() - began_s)
            await self._follow(answers, gained)

    async def _is_left(self, recall: anyio.CancelScope, partition: Partition, left: tuple[int, CommitMetadata]) -> bool:
        """Return whether a recall holds after a rebalance: the partition is still assigned, and no other has owned it.

        If another has committed meanwhile, the recall begins anew.
        """
        is_left = await self._left_for(partition) == left
        if self._recalling.get(partition) is not recall:
            return False
        if not is_left:
            self._recall(frozenset({partition}))
        return is_left

    def _tell(self, gained: Mapping[Partition, PartitionState], answered: int, took_s: float) -> None:
        if took_s >= _TOLD_AFTER_S:
            log.info("partitions.recalled", stage=self._stage, answered=answered, seconds=round(took_s))
        for partition, state in self._waiting(gained).items():
            log.info("record.awaited", stage=self._stage, partition=str(partition), records=state.awaited)

    async def _left_for(self, partition: Partition) -> tuple[int, CommitMetadata]:
        """Return the offset that the last owner committed, and its metadata.

        Raises:
            TopicRecreatedError: the partition ends before it.
        """
        committed = await self._session.broker.committed(self._group, partition)
        nothing_known = CommitMetadata((0,) * len(self._ends))
        if committed is None:
            self._without_offset.add(partition)
            return 0, nothing_known
        self._without_offset.discard(partition)
        await check_not_beyond_end(self._session.broker, self._group, partition, committed.offset)
        metadata = load(committed.metadata, len(self._ends))
        if metadata is None:
            log.warning(
                "commit_metadata.unreadable", stage=self._stage, partition=str(partition), metadata=committed.metadata
            )
        return committed.offset, metadata or nothing_known

    async def _follow(self, answers: Answers, gained: dict[Partition, PartitionState]) -> None:
        """Finish the records that other workers answer, and make the calls that are not answered in time.

        The recall may have taken longer than these calls, and their answers may lie anywhere behind it. So an answer is
        late only if it is not among the results that there are after its deadline.
        """
        while waiting := self._waiting(gained):
            for answer in await answers.next(_FOLLOW_S):
                self._note_answer(waiting, answer)
            due_s = anyio.current_time() - self._session.limits.margin_s
            if any(state.is_due(due_s) for state in waiting.values()):
                async for answer in answers.to_end():
                    self._note_answer(waiting, answer)
                self._expire(self._waiting(waiting), due_s)

    def _note_answer(self, waiting: Mapping[Partition, PartitionState], answer: Answer) -> None:
        partition, offset, key = answer
        if partition in waiting and waiting[partition].note_answer(offset, key):
            log.info("record.answered_elsewhere", stage=self._stage, record=f"{partition}/{offset}")

    def _expire(self, waiting: Mapping[Partition, PartitionState], due_s: float) -> None:
        for partition, state in waiting.items():
            for record in state.expire(due_s):
                log.warning("record.await_expired", stage=self._stage, record=f"{partition}/{record.offset}")
                self.calls.begin(record)

    def _waiting(self, gained: Mapping[Partition, PartitionState]) -> dict[Partition, PartitionState]:
        """Return the partitions that have been owned without a break since, and that await answers of others."""
        return {each: state for each, state in gained.items() if self._owned.get(each) is state and state.awaited}
