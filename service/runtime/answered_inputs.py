"""Reads from the results of a stage which inputs are answered, so that no recorded answer is paid for again.

A committed offset says from where input is delivered again. Its metadata (`service.runtime.commit_metadata`) says from
where the results have to be read to know which of that input is answered. Answers to calls that were in flight then
are written behind that place: following the results tells when.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog

from service.messaging.broker import Broker, Isolation, Partition, Reader
from service.messaging.codec import cause_of, has_cause
from service.messaging.silence import Silence
from service.runtime.answer_keys import AnswerKeys, note_answer
from service.runtime.commit_metadata import Ends

_POLL_S = 1.0
_BATCH = 1_000
_SILENCE_S = 60.0

log = structlog.get_logger()


class Answer(NamedTuple):
    """The place of the input that a result answers, and the key of the result."""

    source: Partition
    offset: int
    key: bytes | None


class Answers:
    """The results of a stage, read for the offsets that they answer."""

    def __init__(self, broker: Broker, reader: Reader, since: dict[Partition, int]) -> None:
        self._found: dict[Partition, AnswerKeys] = {}
        self._broker = broker
        self._reader = reader
        self._since = since
        self._begun = False
        self._told_unreadable = False

    @classmethod
    @asynccontextmanager
    async def behind(cls, broker: Broker, results: str, ends: Ends) -> "AsyncIterator[Answers]":
        """Open the results behind these ends, one for each of their partitions."""
        since = {Partition(results, number): end for number, end in enumerate(ends)}
        async with broker.reader(list(since)) as reader:
            yield cls(broker, reader, since)

    async def now(self, starts: Mapping[Partition, int], silence_s: float = _SILENCE_S) -> dict[Partition, AnswerKeys]:
        """Read on to the present end; returns the answers found so far for each source, from its start on.

        Raises:
            BrokerError: as in `to_end`.
        """
        self._found = {source: self._found.get(source, {}) for source in starts}
        async for source, offset, key in self.to_end(silence_s):
            if source in starts and offset >= starts[source]:
                note_answer(self._found[source], offset, key)
        return self._found

    async def to_end(self, silence_s: float = _SILENCE_S) -> AsyncIterator[Answer]:
        """Yield the answers up to the present end.

        It may take long, and is not interrupted as long as it gets on. An open transaction hides acknowledged results
        behind it from readers, so its end is awaited.

        Raises:
            BrokerError: nothing came for twice `silence_s`, or a transaction stayed open for longer than Kafka allows.
        """
        targets = await self._broker.end_offsets(list(self._since), Isolation.READ_UNCOMMITTED)
        if not self._begun:
            self._begun = True
            for partition, target in targets.items():
                self._reader.seek(partition, min(self._since[partition], target))
        silence = Silence(self._broker, self._reader, list(targets), silence_s)
        while any(self._reader.position(partition) < target for partition, target in targets.items()):
            for answer in await self.next(_POLL_S):
                yield answer
            await silence.check()

    async def next(self, timeout_s: float) -> list[Answer]:
        """Return the next answers; none when no result came in time."""
        answers = []
        for record in await self._reader.poll(_BATCH, timeout_s):
            cause = cause_of(record)
            if cause is not None:
                answers.append(Answer(*cause, record.key))
            elif has_cause(record):
                self._tell_unreadable(f"{record.partition}/{record.offset}")
        return answers

    def _tell_unreadable(self, place: str) -> None:
        """Log the first result whose cause header names no place: another program wrote it."""
        if not self._told_unreadable:
            self._told_unreadable = True
            log.warning("cause.unreadable", record=place, hint="its input counts as unanswered")
