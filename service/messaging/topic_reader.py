"""Reads topics of a run from their beginnings: to rebuild state, to count, or to follow them.

Records of one partition come in order; there is no order between partitions or topics. Dead letter topics can be read
too; their messages are `DeadLetter`.
"""

from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from itertools import groupby
from operator import attrgetter

import anyio

from service.errors import CheckpointUnfitError, DecodeError, NewerVersionError, RecordsGoneError
from service.messaging import codec
from service.messaging.bookmark import Bookmark, Mark, digest_of
from service.messaging.broker import Broker, Isolation, Partition, Reader, Record
from service.messaging.dead_letters import DEAD_LETTER_TOPICS, STAGE_INPUTS, DeadLetter, is_copy, replay_group
from service.messaging.messages import DeadLettersPutBack, Message
from service.messaging.silence import Silence
from service.messaging.single_records import first_records
from service.messaging.skipped_records import SkippedRecords
from service.messaging.topics import CONTROL, HINTS, Topic

_BATCH = 1_000
_POLL_S = 0.2
_SILENCE_S = 60.0
_RESUME_S = 10.0
# The topics into which dead letters are put back.
_INPUTS = frozenset(topic.name for topic in STAGE_INPUTS)

_partition_of = attrgetter("partition")

Remember = Callable[[Message], None]


class Tail:
    """A reader of whole topics of a run, up to their ends or beyond.

    `latest_ms` is the time of the latest record read so far, in milliseconds of Unix time. `unread` counts, by topic,
    the records that belong into the counts of the run and cannot be read, as a newer Seedstream wrote them; a reader
    that is `complete` raises instead.
    """

    def __init__(
        self,
        broker: Broker,
        reader: Reader,
        topics: dict[str, Topic[Message]],
        partitions: list[Partition],
        put_back: dict[Partition, int],
        *,
        complete: bool = False,
    ) -> None:
        self._broker = broker
        self._reader = reader
        self._topics = topics
        self._partitions = partitions
        self._put_back = put_back
        self._with_copies = {each for each in partitions if topics[each.topic].name in _INPUTS}
        self._skipped = SkippedRecords(broker)
        self._complete = complete
        begins = {partition: reader.position(partition) for partition in partitions if partition not in put_back}
        self._marks = {partition: Mark(begin, begin) for partition, begin in begins.items()}
        self._last: dict[Partition, Record] = {}
        self.latest_ms = 0
        self.unread: Counter[str] = Counter()

    @classmethod
    @asynccontextmanager
    async def of(
        cls, broker: Broker, run: str, topics: Sequence[Topic[Message]], *, complete: bool = False
    ) -> "AsyncIterator[Tail]":
        """Open topics at their beginnings, outside any consumer group.

        Raises:
            RecordsGoneError: the beginning of a topic is gone. Dead letters and hints may be deleted.
        """
        by_name = {topic.of(run): topic for topic in topics}
        partitions = [Partition(name, number) for name in by_name for number in range(await broker.partitions(name))]
        letters = [partition for partition in partitions if by_name[partition.topic] in DEAD_LETTER_TOPICS]
        put_back = await _put_back_below(broker, run, letters) if letters else {}
        async with broker.reader(partitions) as reader:
            for partition in partitions:
                if partition not in put_back and by_name[partition.topic] is not HINTS:
                    _check_whole(partition, reader.position(partition))
            tail = cls(broker, reader, by_name, partitions, put_back, complete=complete)
            with closing(tail._skipped):
                yield tail

    @property
    def unreadable(self) -> int:
        """Number of records skipped so far because they could not be read."""
        return self._skipped.total

    def bookmark(self) -> Bookmark:
        """Return where this tail stands; it belongs to a state to which all records returned so far were applied.

        Dead letters are left out: whether one was put back is known only when a tail is opened, so that every tail
        reads all of them.
        """
        for partition, mark in self._marks.items():
            position, last = self._reader.position(partition), self._last.pop(partition, None)
            known = (mark.last, mark.digest) if last is None else (last.offset, digest_of(last))
            self._marks[partition] = Mark(mark.begin, position, *known)
        return Bookmark(dict(self._marks), self.latest_ms)

    async def resume(self, bookmark: Bookmark) -> None:
        """Go on where a bookmark stands; call this before anything was read.

        The last record of each partition is read again and compared: another log may have grown beyond the bookmark.

        Raises:
            CheckpointUnfitError: the bookmark is not one of this log; the tail is still at the beginnings.
        """
        marks = bookmark.marks
        if {each: mark.begin for each, mark in marks.items()} != {each: at.begin for each, at in self._marks.items()}:
            raise CheckpointUnfitError("the topics have other partitions, or begin elsewhere")
        begins = {partition: self._reader.position(partition) for partition in self._partitions}
        try:
            await self._compare(marks)
        except CheckpointUnfitError:
            self._seek(begins)
            raise
        self._seek(begins | {partition: mark.position for partition, mark in marks.items()})
        self._marks, self.latest_ms = dict(marks), bookmark.latest_ms

    async def _compare(self, marks: Mapping[Partition, Mark]) -> None:
        """Raise `CheckpointUnfitError` unless the log has the last record of each mark."""
        ends = await self._broker.end_offsets(list(marks), Isolation.READ_COMMITTED)
        if beyond := [str(each) for each, mark in marks.items() if mark.position > ends[each]]:
            raise CheckpointUnfitError(f"it is ahead of the log in {', '.join(beyond)}")
        expected = {each: (mark.last, mark.digest) for each, mark in marks.items() if mark.last is not None}
        self._seek(ends)
        last = {each: mark.last for each, mark in marks.items() if mark.last is not None}
        with anyio.move_on_after(_RESUME_S):
            async for record in first_records(self._reader, last, ends):
                if expected.pop(record.partition) != (record.offset, digest_of(record)):
                    raise CheckpointUnfitError(f"the log has another record at {record.partition}/{record.offset}")
        if expected:
            raise CheckpointUnfitError(f"{', '.join(map(str, expected))}: the last record read does not come")

    def _seek(self, places: Mapping[Partition, int]) -> None:
        for partition, offset in places.items():
            self._reader.seek(partition, offset)

    async def records(self, timeout_s: float = _POLL_S) -> list[Record]:
        """Return the next records, or an empty list if none arrive within `timeout_s`."""
        found = await self._reader.poll(_BATCH, timeout_s)
        if found:
            self.latest_ms = max(self.latest_ms, *[record.timestamp_ms for record in found])
            for partition, records in groupby(found, _partition_of):
                if partition in self._marks:
                    self._last[partition] = deque(records, maxlen=1)[0]
        return found

    async def next(self, timeout_s: float = _POLL_S) -> list[Message]:
        """Return the next readable messages, or an empty list if none arrive within `timeout_s`."""
        return self.readable_of(await self.records(timeout_s))

    def decode(self, record: Record) -> Message:
        """Return the message of a record; a dead letter becomes a `DeadLetter`.

        Raises:
            DecodeError: the record does not match the types of its topic.
        """
        if record.partition in self._put_back:
            return DeadLetter.of(record, put_back=self.is_put_back(record))
        return codec.decode(self._topics[record.partition.topic], record)

    def own(self, record: Record) -> Message | None:
        """Return the message of a record for a rebuild, or `None` if another program wrote the record.

        Raises:
            DecodeError: Seedstream wrote the record and it cannot be read, so the rebuilt state would be wrong.
        """
        try:
            return self.decode(record)
        except DecodeError as error:
            if codec.is_ours(record):
                raise _refusal(error) from error
            self._skipped.skip("record.foreign", record, error)
            return None

    def holds_letters(self, record: Record) -> bool:
        """Return whether a record is on a topic of dead letters."""
        return record.partition in self._put_back

    def is_put_back(self, letter: Record) -> bool:
        """Return whether a replay had passed a dead letter by the time this reader was opened."""
        return letter.offset < self._put_back[letter.partition]

    def readable_of(self, records: Iterable[Record]) -> list[Message]:
        """Return the messages of records, without those that are not `readable`."""
        return [message for record in records if (message := self.readable(record)) is not None]

    def parts_of(self, records: Iterable[Record], parts: Mapping[str, Topic[Message]]) -> list[Message]:
        """Return messages as `readable_of` does; of topics in `parts`, by name, the parts that have the types there.

        A fold that reads a long log needs much less time for these. The records do not keep them for other readers.
        """
        found: list[Message] = []
        for partition, some in groupby(records, _partition_of):
            topic = parts.get(self._topics[partition.topic].name)
            if topic is None:
                found += self.readable_of(some)
                continue
            decode, has_copies = codec.part_decoder(topic), partition in self._with_copies
            for record in some:
                if not (has_copies and is_copy(record)):
                    try:
                        found.append(decode(record))
                    except DecodeError as error:
                        self._miss(record, error)
        return found

    def readable(self, record: Record) -> Message | None:
        """Return the message of a record, or `None` for a poison record or one that was put back.

        The stage that consumes a poison record writes its dead letter. A record that was put back is a copy of one
        that was read earlier.
        """
        if record.partition in self._with_copies and is_copy(record):
            return None
        try:
            return self.decode(record)
        except DecodeError as error:
            self._miss(record, error)
            return None

    def _miss(self, record: Record, error: DecodeError) -> None:
        """Skip a record that cannot be read; raise, or count it, if the counts of the run lack it."""
        if self._belongs(record, error):
            if self._complete:
                raise _refusal(error) from error
            self.unread[self._topics[record.partition.topic].name] += 1
        self.skip(record, error)

    def _belongs(self, record: Record, error: DecodeError) -> bool:
        """Return whether the counts of the run lack a record that cannot be read.

        A record of this version in the input of a stage does not count until its dead letter does.
        """
        if isinstance(error, NewerVersionError):
            return True
        return codec.is_ours(record) and self._topics[record.partition.topic] not in STAGE_INPUTS

    def skip(self, record: Record, error: DecodeError) -> None:
        """Log a record that cannot be read and is skipped, once for each topic."""
        self._skipped.skip("record.unreadable", record, error)

    async def left(self) -> int:
        """Return the number of offsets between here and the current ends of the topics."""
        ends = await self._broker.end_offsets(self._partitions, Isolation.READ_COMMITTED)
        return sum(end - self._reader.position(partition) for partition, end in ends.items())

    async def to_end(self, silence_s: float = _SILENCE_S) -> AsyncIterator[Record]:
        """Yield records up to the current ends of the topics, and wait for transactions that are open now.

        Raises:
            BrokerError: nothing came for twice `silence_s` before the ends were reached, or a transaction stayed open
                for longer than Kafka allows.
        """
        async for batch in self.record_batches_to_end(silence_s):
            for record in batch:
                yield record

    async def record_batches_to_end(self, silence_s: float = _SILENCE_S) -> AsyncIterator[list[Record]]:
        """Yield records as `to_end` does, in batches; between two of them, `bookmark` belongs to the records so far."""
        targets = await self._broker.end_offsets(self._partitions, Isolation.READ_UNCOMMITTED)
        silence = Silence(self._broker, self._reader, self._partitions, silence_s)
        while any(self._reader.position(partition) < target for partition, target in targets.items()):
            yield await self.records()
            await silence.check()

    async def batches_to_end(self) -> AsyncIterator[list[Message]]:
        """Yield the readable messages up to the current ends of the topics, in batches.

        Between two batches, `bookmark` belongs to the messages so far.
        """
        async for batch in self.record_batches_to_end():
            yield self.readable_of(batch)

    async def messages_to_end(self) -> AsyncIterator[Message]:
        """Yield the readable messages up to the current ends of the topics."""
        async for _, message in self.placed_to_end():
            yield message

    async def placed_to_end(self) -> AsyncIterator[tuple[Partition, Message]]:
        """Yield the readable messages up to the current ends of the topics, each with its partition."""
        async for record in self.to_end():
            message = self.readable(record)
            if message is not None:
                yield record.partition, message


def _check_whole(partition: Partition, begin: int) -> None:
    """Raise unless a partition begins at offset 0, as it does if nothing was ever deleted."""
    if begin > 0:
        raise RecordsGoneError(
            f"{partition}: the records below offset {begin} are gone, by retention or someone deleted them: the "
            "state of the run cannot be rebuilt. Restore the topic from a backup, or begin another run; `seedstream "
            "consume` reads the tasks that are left"
        )


def _refusal(error: DecodeError) -> DecodeError:
    why = f"{error}; the state of the run depends on it, so this process cannot go on"
    if isinstance(error, NewerVersionError):
        return NewerVersionError(why)
    return DecodeError(
        f"{why}: a newer Seedstream may have written it, and can read it; or it is damaged, in a file of an earlier "
        "version without checksums, and `seedstream salvage` leaves it out"
    )


async def _put_back_below(broker: Broker, run: str, partitions: Sequence[Partition]) -> dict[Partition, int]:
    """Return, for each partition of dead letters, the offset below which a replay has passed all.

    The records on `control` say so for ever. Earlier versions wrote committed offsets alone, which Kafka deletes after
    some time without a replay.
    """
    committed = await broker.committed_offsets(replay_group(run), partitions)
    below = {each: committed[each].offset if each in committed else 0 for each in partitions}
    async with Tail.of(broker, run, [CONTROL]) as tail:
        async for message in tail.messages_to_end():
            if isinstance(message, DeadLettersPutBack):
                partition = Partition(Topic(message.topic, ()).dead_letters_of(run), message.partition)
                below[partition] = max(below.get(partition, 0), message.below)
    return below


async def replay(broker: Broker, run: str, topics: Sequence[Topic[Message]], remember: Remember) -> None:
    """Pass every message of the topics, up to their current ends, to `remember`.

    Raises:
        DecodeError: Seedstream wrote a record that cannot be read, so the rebuilt state would be wrong.
    """
    async with Tail.of(broker, run, topics) as tail:
        async for record in tail.to_end():
            if (message := tail.own(record)) is not None:
                remember(message)
