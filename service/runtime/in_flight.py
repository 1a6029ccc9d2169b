"""The records that a worker has in flight: when each is asked, how its answer is written, what a rebalance does to it.

A record waits for a slot. Once its call has begun it is paid for: it runs to its end, whoever owns the partition by
then, and its results are written. A record whose call has not begun is dropped without loss.
"""

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic

import anyio
import structlog
from anyio.abc import TaskGroup

from service.errors import DecodeError, RecordTooLargeError
from service.lm.concurrency import Slot, Slots
from service.lm.errors import CallDroppedError, CallFailedError, EndpointRefusedError
from service.messaging import codec
from service.messaging.broker import NewRecord, Partition, Producer, Record
from service.messaging.dead_letters import dead_letter
from service.messaging.messages import FailedCall, Message
from service.runtime.stage import In, Stage

log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class Call:
    """One record being worked on: whether it waits to be asked, with which slot it is, if its answer is written."""

    record: Record
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    waiting: bool = False
    slot: Slot | None = None
    answered: bool = False

    @property
    def begun(self) -> bool:
        """Return whether it has been asked, be it that it waits to be asked again."""
        return self.slot is not None


def _tell_nobody(_: Record) -> None:
    pass


class InFlight(Generic[In]):
    """What one worker has in flight, by partition and offset, over all generations of its group.

    `on_answered` is told of each record whose results have been acknowledged. `dropped` is what attempts took of calls
    that were dropped, and will be made again.
    """

    def __init__(self, stage: Stage[In], run: str, slots: Slots) -> None:
        self.drain = anyio.Event()
        self.refusal: EndpointRefusedError | None = None
        self.dropped: list[FailedCall] = []
        self.on_answered: Callable[[Record], None] = _tell_nobody
        self._stage = stage
        self._run = run
        self._slots = slots
        self._calls: dict[tuple[Partition, int], Call] = {}
        self._fewer = anyio.Event()
        self._may_begin = anyio.Event()
        self._producer: Producer
        self._tasks: TaskGroup

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
        return self.drain.is_set() or self.refusal is not None

    @asynccontextmanager
    async def running(self, producer: Producer) -> AsyncIterator[None]:
        """Run calls inside the block; leaving it waits for them."""
        self._producer = producer
        async with anyio.create_task_group() as self._tasks:
            yield

    def cancel(self) -> None:
        """Give up what is in flight."""
        self._tasks.cancel_scope.cancel()

    def begin(self, record: Record) -> None:
        """Work on a record, unless that is what is being done already."""
        where = (record.partition, record.offset)
        if where not in self._calls or self._calls[where].scope.cancel_called:
            self._calls[where] = Call(record)
            self._tasks.start_soon(self._process, self._calls[where])

    def hold_back(self) -> None:
        """Let no call begin for now: who owns which partition is about to change."""
        self._may_begin = anyio.Event()

    def let_begin(self) -> None:
        """Let calls begin again."""
        self._may_begin.set()

    def begun_on(self, partition: Partition) -> list[Call]:
        """Return what has been asked and is not given up."""
        calls = (call for (each, _), call in self._calls.items() if each == partition)
        return [call for call in calls if call.begun and not call.scope.cancel_called]

    def lose(self, partitions: frozenset[Partition], patience_s: float) -> None:
        """Let what has begun on lost partitions run on for so long; drop the rest."""
        for (partition, _), call in self._calls.items():
            if partition in partitions:
                if call.begun:
                    call.scope.deadline = anyio.current_time() + patience_s
                else:
                    call.scope.cancel()

    def regain(self, partition: Partition) -> list[Call]:
        """Return what still runs on a partition that was lost; its time is no longer limited."""
        calls = self.begun_on(partition)
        for call in calls:
            call.scope.deadline = math.inf
        return calls

    def drop_waiting(self) -> None:
        """Drop what is not being asked at this moment: it will be delivered again, and what it has cost is noted."""
        for call in self._calls.values():
            if call.slot is not None and call.slot.aside:
                self._slots.drop(call.slot)
            elif call.waiting:
                call.scope.cancel()

    async def wait_for_fewer(self, timeout_s: float) -> None:
        """Wait until a call ends, if one does in time; one that has ended since the last waiting counts."""
        with anyio.move_on_after(timeout_s):
            await self._fewer.wait()
        self._fewer = anyio.Event()

    async def _process(self, call: Call) -> None:
        record = call.record
        try:
            with call.scope:
                results = await self._results(call)
                if results is not None:
                    with self._slots.writing():
                        await self._send(results, record)
                    call.answered = True
                    self.on_answered(record)
        finally:
            where = (record.partition, record.offset)
            if self._calls.get(where) is call:
                del self._calls[where]
            self._fewer.set()

    async def _send(self, results: Sequence[NewRecord], record: Record) -> None:
        """Write what follows from a record; an answer that fits no record is a failed call."""
        try:
            await self._producer.send(results)
        except RecordTooLargeError as error:
            failure = CallFailedError(f"the answer does not fit a record: {error}")
            messages = self._stage.give_up(codec.decode(self._stage.source, record), failure)
            await self._producer.send([codec.encode(message, self._run, record) for message in messages])

    async def _results(self, call: Call) -> list[NewRecord] | None:
        """Return the records that follow from one; none when the worker stopped before it was asked."""
        try:
            message = codec.decode(self._stage.source, call.record)
        except DecodeError as error:
            log.warning("record.dead_lettered", stage=self._stage.name, error=str(error))
            return [dead_letter(call.record, error, self._stage.name)]
        messages = await self._ask(message, call)
        return None if messages is None else [codec.encode(each, self._run, call.record) for each in messages]

    async def _ask(self, message: In, call: Call) -> Sequence[Message] | None:
        try:
            return await self._ask_in_turn(message, call)
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

    async def _ask_in_turn(self, message: In, call: Call) -> Sequence[Message] | None:
        """Ask once there is a slot; a slot that comes while calls are held back is given back.

        A cancelled call may get as far as here before its cancellation arrives: it must not be sent, and paid for, now.
        """
        call.waiting = True
        while not self.stopping:
            await self._may_begin.wait()
            async with self._slots.hold(self._stage.rank) as slot:
                if self._may_begin.is_set() and not self.stopping and not call.scope.cancel_called:
                    call.waiting, call.slot = False, slot
                    return await self._stage(message)
        return None
