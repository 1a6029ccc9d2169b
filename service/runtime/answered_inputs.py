"""Reads from the results of a stage which inputs are answered, so that no recorded answer is paid for again.

A committed offset says from where input is delivered again. Its metadata (`service.runtime.commit_metadata`) says from
where the results have to be read to know which of that input is answered. Answers to calls that were in flight then
are written behind that place: following the results tells when.

An answer has the key of its input. That tells the input apart from one at the same offset of an earlier topic of the
same name, which was deleted.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio
import structlog

from service.errors import BrokerError
from service.messaging.broker import Broker, Isolation, Partition, Reader
from service.messaging.codec import cause_of, has_cause
from service.runtime.commit_metadata import Ends

_POLL_S = 1.0
_BATCH = 1_000
_SILENCE_S = 60.0
# Kafka grants no transaction more than 15 minutes (`transaction.max.timeout.ms`), and aborts it then.
_LONGEST_TRANSACTION_S = 960.0
_TELL_EVERY_S = 30.0

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
        self._moved_to: dict[Partition, int] = {}
        self._moved_s = self._tell_s = 0.0
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
            BrokerError: nothing came for `silence_s`, or a transaction stayed open for longer than Kafka allows.
        """
        targets = await self._ends(Isolation.READ_UNCOMMITTED)
        if not self._moved_to:
            for partition, target in targets.items():
                self._reader.seek(partition, min(self._since[partition], target))
        self._moved_s = anyio.current_time()
        found: dict[Partition, set[int]] = {source: set() for source in starts}
        self.keys = {source: self.keys.get(source, {}) for source in starts}
        while any(self._reader.position(partition) < target for partition, target in targets.items()):
            for source, offset, key in await self._read(_POLL_S):
                if source in found and offset >= starts[source]:
                    found[source].add(offset)
                    self.keys[source] |= {offset: key} if key is not None else {}
            await self._check_progress(silence_s)
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

    async def _check_progress(self, silence_s: float) -> None:
        positions = {partition: self._reader.position(partition) for partition in self._since}
        if positions != self._moved_to:
            self._moved_to, self._moved_s = positions, anyio.current_time()
        elif (silent_s := anyio.current_time() - self._moved_s) >= silence_s:
            await self._explain_silence(silent_s)

    async def _explain_silence(self, silent_s: float) -> None:
        """Raise an error unless an open transaction explains the silence."""
        for partition, readable in (await self._ends(Isolation.READ_COMMITTED)).items():
            if self._reader.position(partition) < readable:
                raise BrokerError(
                    f"{partition}: expected results up to offset {readable}, got none for {silent_s:.0f} s behind "
                    f"{self._reader.position(partition)}"
                )
        if silent_s > _LONGEST_TRANSACTION_S:
            raise BrokerError(
                f"{', '.join(map(str, self._since))}: expected the end of a transaction that hides later results; it "
                f"has been open for {silent_s:.0f} s, longer than Kafka allows"
            )
        if anyio.current_time() >= self._tell_s:
            self._tell_s = anyio.current_time() + _TELL_EVERY_S
            log.warning("results.hidden_by_open_transaction", silent_s=round(silent_s))

    async def _ends(self, isolation: Isolation) -> dict[Partition, int]:
        return {each: await self._broker.end_offset(each, isolation) for each in self._since}
