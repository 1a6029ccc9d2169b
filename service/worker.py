"""How a stage without memory is run: many calls in flight, at least once, nothing asked again that is on the log.

The life of a record: polled when there is room, noted by its partition's tracker, decoded, handed to the stage; the
results are written and acknowledged; then its offset is finished. The lowest unfinished offset is committed every
second, with a note of how far the results had got when that record was taken (`service.recall`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic

import anyio
import structlog

from service import codec
from service.broker import Broker, Committed, GroupMember, Isolation, NewRecord, Partition, Producer, Record
from service.deadletter import dead_letter
from service.errors import (
    CallFailedError,
    DecodeError,
    EndpointRefusedError,
    IllegalGenerationError,
    RecordTooLargeError,
)
from service.messages import Message
from service.offsets import Tracker
from service.recall import Ends, Marks, answered, dump_ends, load_ends
from service.slots import Slots
from service.stage import In, Stage

_POLL_S = 0.2
_COMMIT_EVERY_S = 1.0

log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class _Owned:
    """One owned partition: what is unfinished, what the log already answers, and the calls on their way."""

    tracker: Tracker
    marks: Marks
    already: set[int]
    calls: dict[int, anyio.CancelScope] = field(default_factory=dict)
    committed: Committed | None = None


class Worker(Generic[In]):
    """One member of a stage's consumer group.

    `slots` limits the calls in flight, together with the other stages of the process. `drain_s` bounds how long calls
    in flight may go on once the worker is to stop.
    """

    def __init__(self, stage: Stage[In], broker: Broker, run: str, slots: Slots, drain_s: float) -> None:
        self._stage = stage
        self._broker = broker
        self._run = run
        self._group = f"seedstream.{run}.{stage.name}"
        self._slots = slots
        self._drain_s = drain_s
        self._owned: dict[Partition, _Owned] = {}
        self._in_flight = 0
        self._less_in_flight = anyio.Event()
        self._ends: Ends = ()
        self._refusal: EndpointRefusedError | None = None
        self._drain = anyio.Event()
        self._member: GroupMember
        self._producer: Producer
        self._calls: anyio.abc.TaskGroup

    @property
    def in_flight(self) -> int:
        """Return how many records are being worked on."""
        return self._in_flight

    async def run(self, drain: anyio.Event) -> None:
        """Work until `drain` is set and what was in flight then is finished, or its time is up.

        Raises:
            EndpointRefusedError: the model refuses every call. What was in flight has been finished and recorded.
        """
        self._drain = drain
        await self._note_ends()
        source = self._stage.source.of(self._run)
        async with (
            self._broker.producer() as self._producer,
            self._broker.group_member(self._group, [source], self._on_revoked, self._on_assigned) as self._member,
        ):
            async with anyio.create_task_group() as background, anyio.create_task_group() as self._calls:
                background.start_soon(self._commit_regularly)
                await self._take_until_drained()
                await self._finish_in_flight()
                background.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await self._commit()
        if self._refusal is not None:
            raise self._refusal

    async def _take_until_drained(self) -> None:
        while not self._stopping():
            room = self._slots.total - self._in_flight
            if room > 0:
                records = await self._member.poll(room, _POLL_S)
                if not self._stopping():
                    self._take(records)
            else:
                self._less_in_flight = anyio.Event()
                with anyio.move_on_after(_POLL_S):
                    await self._less_in_flight.wait()
                await self._member.poll(0, 0.0)

    def _stopping(self) -> bool:
        return self._drain.is_set() or self._refusal is not None

    def _take(self, records: Sequence[Record]) -> None:
        for partition, owned in self._owned.items():
            mine = {record.offset: record for record in records if record.partition == partition}
            for offset in owned.tracker.deliver(list(mine), self._member.position(partition)):
                owned.marks.delivered(offset, self._ends)
                if offset in owned.already:
                    owned.already.discard(offset)
                    owned.tracker.finish(offset)
                    log.debug("record.already_answered", stage=self._stage.name, record=f"{partition}/{offset}")
                else:
                    self._in_flight += 1
                    owned.calls[offset] = anyio.CancelScope()
                    self._calls.start_soon(self._process, mine[offset], owned)

    async def _process(self, record: Record, owned: _Owned) -> None:
        try:
            with owned.calls[record.offset]:
                results = await self._results(record)
                if results is not None:
                    await self._send(results, record)
                    owned.tracker.finish(record.offset)
        finally:
            del owned.calls[record.offset]
            self._in_flight -= 1
            self._less_in_flight.set()

    async def _send(self, results: Sequence[NewRecord], record: Record) -> None:
        """Write what follows from a record; an answer that fits no record is a failed call."""
        try:
            await self._producer.send(results)
        except RecordTooLargeError as error:
            failure = CallFailedError(f"the answer does not fit a record: {error}")
            messages = self._stage.give_up(codec.decode(self._stage.source, record), failure)
            await self._producer.send([codec.encode(message, self._run, record) for message in messages])

    async def _results(self, record: Record) -> list[NewRecord] | None:
        """Return the records that follow from one; none when the worker stopped before it began."""
        try:
            message = codec.decode(self._stage.source, record)
        except DecodeError as error:
            log.warning("record.dead_lettered", stage=self._stage.name, error=str(error))
            return [dead_letter(record, error, self._stage.name)]
        async with self._slots.hold(self._stage.rank):
            if self._stopping():
                return None
            try:
                messages = await self._ask(message)
            except EndpointRefusedError as error:
                self._refusal = error
                return None
        return [codec.encode(result, self._run, record) for result in messages]

    async def _ask(self, message: In) -> Sequence[Message]:
        try:
            return await self._stage(message)
        except CallFailedError as error:
            log.warning("call.given_up", stage=self._stage.name, id=message.key, error=str(error))
            return self._stage.give_up(message, error)

    async def _finish_in_flight(self) -> None:
        """Let calls in flight come to their end; what is not done by then will be delivered again."""
        with anyio.move_on_after(self._drain_s) as patience:
            while self._in_flight:
                self._less_in_flight = anyio.Event()
                await self._less_in_flight.wait()
        if patience.cancelled_caught:
            log.warning("drain.given_up", stage=self._stage.name, in_flight=self._in_flight)
            self._calls.cancel_scope.cancel()

    async def _commit_regularly(self) -> None:
        while True:
            await anyio.sleep(_COMMIT_EVERY_S)
            await self._note_ends()
            with anyio.CancelScope(shield=True):
                await self._commit()

    async def _commit(self) -> None:
        news = {}
        for partition, owned in self._owned.items():
            watermark = owned.tracker.watermark
            now = Committed(watermark, dump_ends(owned.marks.at(watermark, self._ends)))
            if owned.committed is None or now.offset != owned.committed.offset:
                news[partition] = now
        if not news:
            return
        try:
            await self._member.commit(news)
        except IllegalGenerationError as error:
            log.info("commit.too_late", stage=self._stage.name, error=str(error))
            return
        for partition, now in news.items():
            if partition in self._owned:
                self._owned[partition].committed = now

    async def _note_ends(self) -> None:
        """Learn how far the results have got. A value that is a second old only makes a later recall read more."""
        topic = self._stage.results.of(self._run)
        width = await self._broker.partitions(topic)
        partitions = [Partition(topic, number) for number in range(width)]
        self._ends = tuple([await self._broker.end_offset(each, Isolation.READ_COMMITTED) for each in partitions])

    async def _on_revoked(self, _: frozenset[Partition]) -> None:
        await self._commit()

    async def _on_assigned(self, partitions: frozenset[Partition]) -> None:
        for partition in self._owned.keys() - partitions:
            for call in self._owned.pop(partition).calls.values():
                call.cancel()
        for partition in partitions - self._owned.keys():
            self._owned[partition] = await self._take_over(partition)

    async def _take_over(self, partition: Partition) -> _Owned:
        committed = await self._broker.committed(self._group, partition)
        start, note = (committed.offset, committed.note) if committed is not None else (0, "")
        since = load_ends(note, len(self._ends))
        already = await answered(self._broker, self._stage.results.of(self._run), since, partition)
        already = {offset for offset in already if offset >= start}
        return _Owned(Tracker(start), Marks(since, max(already, default=-1) + 1), already, committed=committed)
