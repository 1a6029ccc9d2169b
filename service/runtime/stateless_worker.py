"""Runs a stage without memory: many calls in flight, at least once, no recorded answer asked for again.

The life of a record: it is polled when there is room, entered in the state of its partition, decoded and handed to the
stage; the results are written and acknowledged (`service.runtime.in_flight`); then its offset is finished. Every second
the lowest unfinished offset is committed, with metadata that says where the results ended when that record was taken
(`service.runtime.answered_inputs`). At a rebalance the metadata also names the calls in flight
(`service.runtime.assignment`).
"""

from functools import partial
from typing import Generic

import anyio
import structlog

from service.lm.concurrency import Slots
from service.messaging import codec
from service.messaging.broker import Broker, GroupMember, Partition, Producer
from service.messaging.interrupted_polls import InterruptedPolls
from service.messaging.messages import CallsDropped
from service.messaging.topics import CONTROL
from service.runtime.assignment import Assignment, ends_of, group_of
from service.runtime.in_flight import InFlight
from service.runtime.session import Session, TimeLimits
from service.runtime.stage import In, Stage

_POLL_S = 0.2
_COMMIT_EVERY_S = 1.0

log = structlog.get_logger()


class StatelessWorker(Generic[In]):
    """One member of a stage's consumer group; `slots` limits the calls in flight of all stages of the process."""

    def __init__(self, stage: Stage[In], broker: Broker, run: str, slots: Slots, limits: TimeLimits) -> None:
        self._stage = stage
        self._broker = broker
        self._run = run
        self._slots = slots
        self._limits = limits
        self._assignment: Assignment[In] | None = None
        self._committing = anyio.CancelScope()

    @property
    def in_flight(self) -> int:
        """Return how many records are being worked on; none before `run`."""
        return self._assignment.calls.in_flight if self._assignment is not None else 0

    async def run(self, drain: anyio.Event) -> None:
        """Work until `drain` is set and the calls in flight then have ended, or their time is up.

        Raises:
            EndpointRefusedError: the model refuses every call. What was in flight has been finished and recorded.
            NotAuthorizedError: the log does not let this process read or write what the stage needs; nothing was paid.
        """
        await self._check_rights()
        group, source = group_of(self._stage, self._run), self._stage.source.of(self._run)
        ends = await ends_of(self._broker, self._stage.results.of(self._run))

        # The member calls these from polls alone, and the assignment is there before the first.
        async def on_revoked(partitions: frozenset[Partition]) -> None:
            await assignment.on_revoked(partitions)

        async def on_assigned(partitions: frozenset[Partition]) -> None:
            await assignment.on_assigned(partitions)

        async with (
            self._broker.producer() as producer,
            self._broker.group_member(group, [source], on_revoked, on_assigned) as member,
        ):
            async with anyio.create_task_group() as background, anyio.create_task_group() as calls:
                session = Session(self._broker, producer, member, calls, background, drain, self._limits)
                assignment = Assignment(self._stage, self._run, self._slots, session, ends)
                self._assignment = assignment
                background.start_soon(self._commit_regularly, assignment)
                try:
                    await _take_until_drained(assignment, session)
                    await self._finish_in_flight(assignment, member)
                finally:
                    end_s = self._committing.deadline = anyio.current_time() + self._limits.last_s
                background.cancel_scope.cancel()
            await self._record_at_last(assignment, producer, end_s)
        if assignment.calls.refusal is not None:
            raise assignment.calls.refusal

    async def _check_rights(self) -> None:
        source, results, control = (topic.of(self._run) for topic in (self._stage.source, self._stage.results, CONTROL))
        letters = self._stage.source.dead_letters_of(self._run)
        await self._broker.check_rights(reads=[source, results], writes=[results, letters, control])

    async def _finish_in_flight(self, assignment: Assignment[In], member: GroupMember) -> None:
        """Let calls in flight come to their end; records of calls that do not will be delivered again."""
        calls = assignment.calls
        with anyio.move_on_after(self._limits.drain_s) as patience:
            calls.make_no_more_attempts()
            while calls.in_flight:
                await _stay_in_the_group(calls, member)
        if patience.cancelled_caught:
            tell = log.warning if self._limits.drain_s else log.info  # nobody waits: calls are dropped on purpose
            tell("drain.given_up", stage=self._stage.name, in_flight=calls.in_flight)
            calls.cancel()

    async def _commit_regularly(self, assignment: Assignment[In]) -> None:
        """Commit every second. A commit under way is not broken off at once, but when the last one has to be done."""
        while True:
            await anyio.sleep(_COMMIT_EVERY_S)
            await assignment.note_ends()
            with anyio.CancelScope(shield=True) as self._committing:
                await assignment.commit()

    async def _record_at_last(self, assignment: Assignment[In], producer: Producer, end_s: float) -> None:
        """Commit, and record the cost of dropped calls. An outage does not hold up the stop for longer than `end_s`."""
        dropped = assignment.calls.dropped
        with anyio.CancelScope(deadline=end_s, shield=True) as last:
            await assignment.commit_at_last()
            if dropped:
                await producer.send([codec.encode(CallsDropped.of(self._stage.name, dropped), self._run)])
        if last.cancelled_caught:
            log.warning(
                "stop.not_recorded",
                stage=self._stage.name,
                calls_without_recorded_cost=len(dropped),
                hint="the log did not answer; the next worker finds the recorded answers",
            )


async def _take_until_drained(assignment: Assignment[In], session: Session) -> None:
    calls, member = assignment.calls, session.member
    async with InterruptedPolls.until(session.drain) as polls:
        while not calls.stopping:
            if room := calls.room:
                records = await polls.poll(partial(member.poll, room, _POLL_S))
                if not calls.stopping:
                    for record in assignment.deliver(records):
                        calls.begin(record)
            else:
                await _stay_in_the_group(calls, member)


async def _stay_in_the_group(calls: InFlight[In], member: GroupMember) -> None:
    """Take part in rebalances without taking a record, and wait a little for a call to end."""
    await member.poll(0, 0.0)
    await calls.wait_for_fewer(_POLL_S)
