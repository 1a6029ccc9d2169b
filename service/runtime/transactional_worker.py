"""Runs a stage with memory: one active writer, exactly once: results and input offsets are one transaction.

Start: open the transactional id (which fences a predecessor), rebuild the memory from the stage's own results, then go
on at the committed offset. If Kafka has deleted that, the results say how far the input was read: each names its cause.
What follows the last one is read again; it had no result then, and has none now.

Each round: take a batch, let the stage judge it, write everything, commit, and only then remember it. If it is fenced,
or an outcome is unknown, the error ends the process, and a new one rebuilds.

A standby rebuilds while another instance is active and follows its results until it is elected itself. Then only the
end is left to read.

A checkpoint (`service.runtime.stage_memory`) saves the beginning of a rebuild.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Generic

import anyio
import structlog
from anyio import lowlevel

from service.checkpoints import NO_CHECKPOINTS, Checkpoints
from service.errors import DecodeError, NewerVersionError, RecordTooLargeError
from service.messaging import codec
from service.messaging.broker import (
    Broker,
    Committed,
    Isolation,
    NewRecord,
    Partition,
    Reader,
    Record,
    TransactionalProducer,
)
from service.messaging.dead_letters import dead_letter
from service.messaging.interrupted_polls import InterruptedPolls
from service.messaging.messages import Message
from service.messaging.start_offset import OFFSETS_EXPIRE, check_not_beyond_end
from service.messaging.topic_reader import Tail
from service.runtime.leader_election import LeaderElection
from service.runtime.stage import In, Outcome, StatefulStage
from service.runtime.stage_memory import StageMemory

_POLL_S = 1.0
_LOOK_S = 0.2
_MAX_BATCH = 200
# Records encoded in one step of the event loop: some 3 ms.
_MAX_ENCODED = 250

log = structlog.get_logger()

Missing = Callable[[], AsyncIterator[Sequence[Message]]]


class TransactionalWorker(Generic[In]):
    """One instance of a stage with memory; it is active unless there is an election that it has not won.

    `missing` yields earlier results that are on the log no more, once the memory is rebuilt; they are written again.
    `repeated` counts the calls in its input that were made for a record that was answered already.
    """

    def __init__(
        self,
        stage: StatefulStage[In],
        broker: Broker,
        run: str,
        election: LeaderElection | None = None,
        missing: Missing | None = None,
        checkpoints: Checkpoints = NO_CHECKPOINTS,
    ) -> None:
        self._stage = stage
        self._broker = broker
        self._run = run
        self._election = election
        self._missing = missing
        self._checkpoints = checkpoints
        self._group = f"seedstream.{run}.{stage.name}"
        self._source = Partition(stage.source.of(run), 0)
        self._singly_until = -1
        self.repeated = 0

    async def run(self, drain: anyio.Event, ready: anyio.Event) -> None:
        """Work until `drain` is set; `ready` is set once the memory is rebuilt and this is the active instance.

        Where all stages are in one process it goes on until there is no more input that the stage wants. One of several
        instances stops after the batch it is at.

        Raises:
            FencedError, OutcomeUnknownError: another instance has taken over, or nobody knows; end the process.
        """
        async with InterruptedPolls.until(drain) as polls, AsyncExitStack() as stack:
            reading = await stack.enter_async_context(AsyncExitStack())
            tail = await reading.enter_async_context(Tail.of(self._broker, self._run, self._stage.restores))
            memory = StageMemory(self._stage, tail, self._source, self._checkpoints)
            await memory.resume()
            if not await self._stand_by(memory, drain):
                return
            producer = await stack.enter_async_context(self._broker.transactional_producer(self._group))
            await memory.read_to_end()
            if not memory.is_saved:
                await reading.aclose()
            self._stage.check_restored()
            start = await self._start(producer, memory.answered_below)
            if self._missing is not None:
                await self._write_again(self._missing(), producer)
            ready.set()
            if self._election is not None:
                log.info("stage.ready", stage=self._stage.name)
            async with self._broker.reader([self._source]) as reader:
                reader.seek(self._source, start)
                await self._work(reader, producer, memory, polls)
            await memory.save()

    async def _stand_by(self, memory: StageMemory, drain: anyio.Event) -> bool:
        """Follow the results of the active instance until this one is elected; returns whether it was."""
        if self._election is None:
            return True
        turn = self._election.turn
        async with InterruptedPolls.until(drain, turn) as polls:
            while not turn.is_set():
                if drain.is_set():
                    await memory.save()
                    return False
                await memory.apply(await polls.poll(memory.records))
        self._election.check()
        return True

    async def _start(self, producer: TransactionalProducer, answered_below: int) -> int:
        """Return the offset to go on at: the committed one, or else the one behind the last input with a result.

        The latter is committed at once, for those who look at how far this stage is.

        Raises:
            TopicRecreatedError: the input ends before it.
        """
        committed = await self._broker.committed(self._group, self._source)
        start = committed.offset if committed is not None else answered_below
        await check_not_beyond_end(self._broker, self._group, self._source, start)
        if committed is None and start:
            log.warning(
                "offset.missing", group=self._group, partition=str(self._source), start=start, hint=OFFSETS_EXPIRE
            )
            with anyio.CancelScope(shield=True):
                await self._commit(producer, [], start)
        return start

    async def _write_again(self, missing: AsyncIterator[Sequence[Message]], producer: TransactionalProducer) -> None:
        async for results in missing:
            with anyio.CancelScope(shield=True):
                await producer.begin()
                await producer.send([codec.encode(message, self._run) for message in results])
                await producer.commit()

    async def _work(
        self, reader: Reader, producer: TransactionalProducer, memory: StageMemory, polls: InterruptedPolls
    ) -> None:
        while not (polls.stop.is_set() and self._election is not None):
            if self._election is not None:
                self._election.check()
            if not self._stage.wants_more():
                if polls.stop.is_set():
                    return
                with anyio.move_on_after(_LOOK_S):
                    await polls.stop.wait()
                continue
            at_most = 1 if reader.position(self._source) <= self._singly_until else _MAX_BATCH
            records = await self._poll(reader, at_most, polls)
            if records:
                await self._handle(records, reader, producer, memory)
                await memory.save_if_due()
            elif polls.stop.is_set() and await self._exhausted(reader):
                return

    async def _poll(self, reader: Reader, at_most: int, polls: InterruptedPolls) -> list[Record]:
        if polls.stop.is_set():
            return await reader.poll(at_most, 0.0)
        return await polls.poll(partial(reader.poll, at_most, _POLL_S))

    async def _exhausted(self, reader: Reader) -> bool:
        end = await self._broker.end_offset(self._source, Isolation.READ_COMMITTED)
        return reader.position(self._source) >= end

    async def _handle(
        self, records: Sequence[Record], reader: Reader, producer: TransactionalProducer, memory: StageMemory
    ) -> None:
        """One round: judge a batch, write results and input offset in one transaction, then restore the results."""
        batch, causes, letters = self._decode(records)
        outcome = await self._stage(batch) if batch else Outcome((), 0)
        position = self._next_offset(reader, causes, outcome)
        written = await self._encode(outcome.results, causes)
        written += [letter for offset, letter in letters if offset < position]
        with anyio.CancelScope(shield=True):
            try:
                await self._commit(producer, written, position)
            except RecordTooLargeError as error:
                await producer.abort()
                await self._isolate(records, error, reader, producer)
                return
            memory.remember(message for _, message in outcome.results)
            self.repeated += outcome.repeated
        if reader.position(self._source) != position:
            reader.seek(self._source, position)

    async def _encode(self, results: Sequence[tuple[int, Message]], causes: Sequence[Record]) -> list[NewRecord]:
        """Return the records of the results of a batch, which are thousands where a reply has many candidates."""
        written: list[NewRecord] = []
        for begin in range(0, len(results), _MAX_ENCODED):
            chunk = results[begin : begin + _MAX_ENCODED]
            written += [codec.encode(message, self._run, causes[place]) for place, message in chunk]
            await lowlevel.checkpoint()
        return written

    async def _isolate(
        self, records: Sequence[Record], error: RecordTooLargeError, reader: Reader, producer: TransactionalProducer
    ) -> None:
        """Find the record whose results are too large to be written; it alone goes to the dead letters."""
        if len(records) > 1:
            self._singly_until = records[-1].offset
            reader.seek(self._source, records[0].offset)
            return
        log.warning("record.dead_lettered", stage=self._stage.name, error=str(error))
        letter = dead_letter(records[0], error, self._stage.name)
        await self._commit(producer, [letter], reader.position(self._source))

    async def _commit(self, producer: TransactionalProducer, written: Sequence[NewRecord], position: int) -> None:
        await producer.begin()
        await producer.send(written)
        await producer.send_offsets(self._group, {self._source: Committed(position)})
        await producer.commit()

    def _next_offset(self, reader: Reader, causes: Sequence[Record], outcome: Outcome) -> int:
        if outcome.consumed < len(causes):
            return causes[outcome.consumed].offset
        return reader.position(self._source)

    def _decode(self, records: Sequence[Record]) -> tuple[list[In], list[Record], list[tuple[int, NewRecord]]]:
        batch: list[In] = []
        causes: list[Record] = []
        letters: list[tuple[int, NewRecord]] = []
        for record in records:
            try:
                batch.append(codec.decode(self._stage.source, record))
            except NewerVersionError:
                raise  # its stage of the newer version can read it
            except DecodeError as error:
                log.warning("record.dead_lettered", stage=self._stage.name, error=str(error))
                letters.append((record.offset, dead_letter(record, error, self._stage.name)))
            else:
                causes.append(record)
        return batch, causes, letters
