"""How a stage with memory is run: one active writer; results and input offsets are one transaction, exactly once.

Start: open the transactional id (which fences a predecessor), rebuild the memory from the stage's own results, then go
on at the committed offset. Each round: take a batch, let the stage judge it, write everything, commit, and only then
remember it. Fenced, or the outcome unknown: the error ends the process; a new one rebuilds, nobody guesses.
"""

from collections.abc import Sequence
from typing import Generic

import anyio
import structlog

from service import codec
from service.broker import Broker, Committed, Isolation, NewRecord, Partition, Reader, Record, TransactionalProducer
from service.deadletter import dead_letter
from service.errors import DecodeError
from service.replay import replay
from service.stage import In, Outcome, StatefulStage

_POLL_S = 0.2
_MAX_BATCH = 200

log = structlog.get_logger()


class Committer(Generic[In]):
    """The active instance of a stage with memory."""

    def __init__(self, stage: StatefulStage[In], broker: Broker, run: str) -> None:
        self._stage = stage
        self._broker = broker
        self._run = run
        self._group = f"seedstream.{run}.{stage.name}"
        self._source = Partition(stage.source.of(run), 0)

    async def run(self, drain: anyio.Event, ready: anyio.Event) -> None:
        """Work until `drain` is set and there is no more input that the stage wants; `ready` is set once rebuilt.

        Raises:
            FencedError, OutcomeUnknownError: another instance has taken over, or nobody knows; end the process.
        """
        async with self._broker.transactional_producer(self._group) as producer:
            await replay(self._broker, self._run, self._stage.restores, self._stage.restore)
            ready.set()
            async with self._broker.reader([self._source]) as reader:
                committed = await self._broker.committed(self._group, self._source)
                reader.seek(self._source, committed.offset if committed is not None else 0)
                await self._work(reader, producer, drain)

    async def _work(self, reader: Reader, producer: TransactionalProducer, drain: anyio.Event) -> None:
        while True:
            if not self._stage.wants_more():
                if drain.is_set():
                    return
                with anyio.move_on_after(_POLL_S):
                    await drain.wait()
                continue
            records = await reader.poll(_MAX_BATCH, 0.0 if drain.is_set() else _POLL_S)
            if records:
                await self._handle(records, reader, producer)
            elif drain.is_set() and await self._exhausted(reader):
                return

    async def _exhausted(self, reader: Reader) -> bool:
        end = await self._broker.end_offset(self._source, Isolation.READ_COMMITTED)
        return reader.position(self._source) >= end

    async def _handle(self, records: Sequence[Record], reader: Reader, producer: TransactionalProducer) -> None:
        """One round: judge a batch, write what follows and how far the input is read, commit, remember."""
        batch, causes, letters = self._decode(records)
        outcome = await self._stage(batch) if batch else Outcome((), 0)
        position = self._next_offset(reader, causes, outcome)
        written = [codec.encode(message, self._run, causes[place]) for place, message in outcome.results]
        written += [letter for offset, letter in letters if offset < position]
        with anyio.CancelScope(shield=True):
            await producer.begin()
            await producer.send(written)
            await producer.send_offsets(self._group, {self._source: Committed(position)})
            await producer.commit()
            for _, message in outcome.results:
                self._stage.restore(message)
        reader.seek(self._source, position)

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
            except DecodeError as error:
                log.warning("record.dead_lettered", stage=self._stage.name, error=str(error))
                letters.append((record.offset, dead_letter(record, error, self._stage.name)))
            else:
                causes.append(record)
        return batch, causes, letters
