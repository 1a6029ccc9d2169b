"""Reads from the results of a stage which inputs are answered, so that no recorded answer is paid for again.

A committed offset says from where input is delivered again. Its metadata (`service.runtime.commit_metadata`) says from
where the results have to be read to know which of that input is answered. Answers to calls that were in flight then
are written behind that place: following the results tells when.

An answer has the key of its input. That tells the input apart from one at the same offset of an earlier topic of the
same name, which was deleted.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import structlog

from service.messaging.broker import Broker, Isolation, Partition, Reader
from service.messaging.codec import cause_of, has_cause
from service.messaging.silence import Silence
from service.runtime.commit_metadata import Ends

_POLL_S = 1.0
_BATCH = 1_000
_SILENCE_S = 60.0

log = structlog.get_logger()


class Answers:
    """The results of a stage, read for the offsets that they answer.

    `keys` are those of the answers that `now` has found.
    """

    def __init__(self, broker: Broker, reader: Reader, since: dict[Partition, int]) -> None:
        self.keys: dict[Partition, dict[int, bytes]] = {}
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

    async def now(self, starts: Mapping[Partition, int], silence_s: float = _SILENCE_S) -> dict[Partition, set[int]]:
        """Read on to the present end; returns the offsets of each source, from its start on, that are answered.

        It may take long, and is not interrupted as long as it gets on. An open transaction hides acknowledged results
        behind it from readers, so its end is awaited.

        Raises:
            BrokerError: nothing came for twice `silence_s`, or a transaction stayed open for longer than Kafka allows.
        """
        targets = {each: await self._broker.end_offset(each, Isolation.READ_UNCOMMITTED) for each in self._since}
        if not self._begun:
            self._begun = True
            for partition, target in targets.items():
                self._reader.seek(partition, min(self._since[partition], target))
        silence = Silence(self._broker, self._reader, list(targets), silence_s)
        found: dict[Partition, set[int]] = {source: set() for source in starts}
        self.keys = {source: self.keys.get(source, {}) for source in starts}
        while any(self._reader.position(partition) < target for partition, target in targets.items()):
            for source, offset, key in await self._read(_POLL_S):
                if source in found and offset >= starts[source]:
                    found[source].add(offset)
                    self.keys[source] |= {offset: key} if key is not None else {}
            await silence.check()
        return found

    async def next(self, timeout_s: float) -> list[tuple[Partition, int]]:
        """Return the inputs that the next results answer; none when no result came in time."""
        return [(source, offset) for source, offset, _ in await self._read(timeout_s)]

    async def _read(self, timeout_s: float) -> list[tuple[Partition, int, bytes | None]]:
        records = await self._reader.poll(_BATCH, timeout_s)
        causes = []
        for record in records:
            cause = cause_of(record)
            if cause is not None:
                causes.append((*cause, record.key))
            elif has_cause(record):
                self._tell_unreadable(f"{record.partition}/{record.offset}")
        return causes

    def _tell_unreadable(self, place: str) -> None:
        """Log the first result whose cause header names no place: another program wrote it."""
        if not self._told_unreadable:
            self._told_unreadable = True
            log.warning("cause.unreadable", record=place, hint="its input counts as unanswered")
