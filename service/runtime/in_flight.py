"""The records that a worker has in flight: the life of each call, at a rebalance as well.

A record waits for a slot, and until it is sure that its partition is this worker's still. Once its call has begun it is
paid for: it runs to its end and its results are written, even if the partition has another owner by then. A record
whose call has not begun is dropped without loss.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic

import anyio
import structlog
from anyio import lowlevel

from service.errors import DecodeError, NewerVersionError, RecordTooLargeError, SeedstreamError
from service.lm.concurrency import Slot, Slots
from service.lm.errors import CallDroppedError, CallFailedError, EndpointRefusedError
from service.messaging import codec
from service.messaging.broker import NewRecord, Partition, Record
from service.messaging.dead_letters import dead_letter
from service.messaging.messages import FailedCall, Message
from service.runtime.session import Session
from service.runtime.stage import In, Stage

_LOOK_EVERY_S = 0.5

log = structlog.get_logger()


class CallState(Enum):
    """The progress of a record's call."""

    DELIVERED = auto()  # a record that cannot be decoded stays so until its dead letter is written
    WAITING = auto()  # for a slot: it has cost nothing
    BEGUN = auto()  # it was sent, and may wait to be sent again
    WRITING = auto()  # it was answered, and its results are being written
    ANSWERED = auto()  # its results are acknowledged


@dataclass(eq=False, slots=True)
class Call:
    """One record in flight; `slot` is there from the moment its call begins. `lost`: its partition was revoked."""

    record: Record
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    state: CallState = CallState.DELIVERED
    slot: Slot | None = None
    lost: bool = False

    @property
    def has_begun(self) -> bool:
        """Whether it was sent, and its results are not acknowledged."""
        return self.state in (CallState.BEGUN, CallState.WRITING) and not self.scope.cancel_called


class InFlight(Generic[In]):
    """The records that one worker has in flight, by partition and offset, over all generations of its group.

    `on_answered` is called with each record whose results have been acknowledged. `dropped` lists the cost of calls
    that were dropped and will be made again.
    """

    def __init__(
        self, stage: Stage[In], run: str, slots: Slots, session: Session, on_answered: Callable[[Record], None]
    ) -> None:
        self.refusal: EndpointRefusedError | NewerVersionError | None = None
        self.dropped: list[FailedCall] = []
        self._stage = stage
        self._run = run
        self._slots = slots
        self._session = session
        self._on_answered = on_answered
        self._calls: dict[tuple[Partition, int], Call] = {}
        self._fewer = anyio.Event()
        self._may_begin = anyio.Event()

    @property
    def in_flight(self) -> int:
        """Return how many records are being worked on."""
        return len(self._calls)

    @property
    def room(self) -> int:
        """Return how many more records may be taken: a few more than there are slots.

        While an answer is being written its slot is free, and the next record should be there already.
        """
        return max(0, self._slots.most_unwritten - self.in_flight)

    @property
    def stopping(self) -> bool:
        """Return whether no further call is to begin."""
        return self._session.drain.is_set() or self.refusal is not None

    def cancel(self) -> None:
        """Give up all that is in flight."""
        self._session.calls.cancel_scope.cancel()

    def begin(self, record: Record) -> None:
        """Work on a record, unless it is in flight already."""
        where = (record.partition, record.offset)
        if where not in self._calls or self._calls[where].scope.cancel_called:
            self._calls[where] = Call(record)
            self._session.calls.start_soon(self._process, self._calls[where])

    def hold_back(self) -> None:
        """Let no call begin until the partitions are assigned anew."""
        self._may_begin = anyio.Event()

    def let_begin(self) -> None:
        """Let calls begin again."""
        self._may_begin.set()

    def begun_on(self, partition: Partition) -> list[Call]:
        """Return the calls of a partition that have begun and are not given up."""
        return [call for (each, _), call in self._calls.items() if each == partition and call.has_begun]

    def lose(self, partitions: frozenset[Partition], revoked_s: float) -> None:
        """Let calls that have begun on partitions revoked at this time run to their ends; drop the others."""
        limits = self._session.limits
        for (partition, _), call in self._calls.items():
            if partition in partitions and not call.lost:
                call.lost = True
                if call.state is CallState.BEGUN and call.slot is not None:
                    call.scope.deadline = revoked_s + limits.revoked_s
                    self._close(call.slot, revoked_s + limits.drain_s)
                elif not call.has_begun:
                    call.scope.cancel()

    def regain(self, calls: Sequence[Call]) -> dict[int, bool]:
        """Lift the time limits of calls whose partition has come back.

        Returns the offsets of those that still run, and of those that were answered meanwhile, and whether they were.
        """
        found = {}
        for call in calls:
            if call.state is CallState.ANSWERED:
                found[call.record.offset] = True
            elif call.has_begun and self._calls.get((call.record.partition, call.record.offset)) is call:
                found[call.record.offset] = False
                call.lost, call.scope.deadline = False, math.inf
                if call.slot is not None:
                    self._close(call.slot, math.inf)
        return found

    def make_no_more_attempts(self) -> None:
        """Let an attempt that is at a server come to its end, and make no other.

        Calls that are not at a server are dropped: their records will be delivered again; their cost is recorded.
        """
        for call in self._calls.values():
            if call.slot is not None:
                self._slots.close(call.slot, anyio.current_time())
            elif call.state is CallState.WAITING:
                call.scope.cancel()

    def _close(self, slot: Slot, at_s: float) -> None:
        """Let a call make no further attempt after this time, and none at all once the worker stops."""
        self._slots.close(slot, anyio.current_time() if self.stopping else at_s)

    async def wait_for_fewer(self, timeout_s: float) -> None:
        """Wait until a call ends, `timeout_s` at most; a call that has ended since the last time counts."""
        with anyio.move_on_after(timeout_s):
            await self._fewer.wait()
        self._fewer = anyio.Event()

    async def _process(self, call: Call) -> None:
        try:
            with call.scope:
                await self._answer(call)
        finally:
            where = (call.record.partition, call.record.offset)
            if self._calls.get(where) is call:
                del self._calls[where]
            self._fewer.set()
        if call.has_begun and not call.lost and not self.stopping:
            self.begin(call.record)  # it was dropped for its partition, which has come back meanwhile

    async def _answer(self, call: Call) -> None:
        """Write the results of a record, or its dead letter, unless the worker stops before its call has begun."""
        record = call.record
        try:
            message = codec.decode(self._stage.source, record)
        except NewerVersionError as error:
            self.refusal = error  # a worker of the newer version can read it
            return
        except DecodeError as error:
            await self._bury(call, error)
            return
        with ExitStack() as unwritten:
            results = await self._ask(message, call, unwritten)
            if results is not None:
                await self._write(call, message, results)

    async def _write(self, call: Call, message: In, results: Sequence[Message]) -> None:
        """Write the results of a record, or its failure if they are too large, or its dead letter if that is as well.

        A failure repeats the instruction, which another program may have written at any length.
        """
        try:
            await self._send(self._encoded(results, call.record), call)
        except RecordTooLargeError as error:
            failure = CallFailedError(f"the answer does not fit a record: {error}")
            try:
                await self._send(self._encoded(self._stage.give_up(message, failure), call.record), call)
            except RecordTooLargeError as still:
                await self._bury(call, still)

    async def _bury(self, call: Call, error: SeedstreamError) -> None:
        log.warning("record.dead_lettered", stage=self._stage.name, error=str(error))
        await self._send([dead_letter(call.record, error, self._stage.name)], call)

    async def _send(self, results: Sequence[NewRecord], call: Call) -> None:
        if call.state is CallState.BEGUN:
            call.state, call.scope.deadline = CallState.WRITING, math.inf
        await self._session.producer.send(results)
        call.state = CallState.ANSWERED
        self._on_answered(call.record)

    def _encoded(self, results: Sequence[Message], cause: Record) -> list[NewRecord]:
        return [codec.encode(message, self._run, cause) for message in results]

    async def _ask(self, message: In, call: Call, unwritten: ExitStack) -> Sequence[Message] | None:
        """Return the results of a message, or none if the worker stops first: the record will be delivered again."""
        try:
            return await self._ask_in_turn(message, call, unwritten)
        except CallDroppedError as error:
            if error.wasted is not None:
                self.dropped.append(FailedCall.of(error))
            self.refusal = self.refusal or error.refusal
            return None
        except CallFailedError as error:
            log.warning("call.given_up", stage=self._stage.name, id=message.key, error=str(error))
            return self._stage.give_up(message, error)
        except EndpointRefusedError as error:
            self.refusal = error
            return None

    async def _ask_in_turn(self, message: In, call: Call, unwritten: ExitStack) -> Sequence[Message] | None:
        """Ask once there is a slot; a slot that comes while calls are held back is given back.

        From before the slot is given back until `unwritten` is left, the answer counts as one that is not on the log.
        A cancelled call may get as far as here before its cancellation arrives: it must not be sent, and paid for, now.
        """
        call.state = CallState.WAITING
        while not self.stopping:
            if not self._may_begin.is_set():
                await self._may_begin.wait()
            if not self._session.member.is_sure():
                await anyio.sleep(_LOOK_EVERY_S)
                continue
            async with self._slots.hold(self._stage.rank) as slot:
                if self._may_begin_now and not self.stopping and not call.scope.cancel_called:
                    call.state, call.slot = CallState.BEGUN, slot
                    try:
                        return await self._stage(message, slot)
                    finally:
                        unwritten.enter_context(self._slots.writing())
            await lowlevel.checkpoint()  # here a cancellation arrives
        return None

    @property
    def _may_begin_now(self) -> bool:
        """Whether nobody else can own the partitions by now: a call might be made by their next owner, too."""
        return self._may_begin.is_set() and self._session.member.is_sure()
