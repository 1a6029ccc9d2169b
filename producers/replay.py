"""`<topic>.dlq` → `<topic>`: dead letters are put back where they came from, exactly once.

Records on `control` say how far each partition of dead letters has been put back; they are written with the letters.
The committed offsets of a group say it too, for earlier versions. A letter that cannot be put back is passed over.
"""

import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import anyio

from service.messaging import codec
from service.messaging.broker import Broker, Committed, NewRecord, Partition, Record, TransactionalProducer
from service.messaging.dead_letters import DEAD_LETTER_TOPICS, STAGE_INPUTS, DeadLetter, put_back, replay_group
from service.messaging.messages import DeadLettersPutBack, Message
from service.messaging.topic_reader import Tail
from service.messaging.topics import Topic

_BATCH = 100


@dataclass(frozen=True, slots=True)
class Tally:
    """The numbers of dead letters of each topic that have been put back, that remain, and that can never be."""

    put_back: Counter[str] = field(default_factory=Counter)
    remaining: Counter[str] = field(default_factory=Counter)
    staying: Counter[str] = field(default_factory=Counter)

    @property
    def topics(self) -> list[str]:
        """Return the names of the topics that had any."""
        return sorted(self.put_back | self.remaining | self.staying)


class DeadLetterReplay:
    """Puts the dead letters of some topics of a run back. A second one fences the first."""

    def __init__(self, broker: Broker, run: str, chosen: Sequence[Topic[Message]] = STAGE_INPUTS) -> None:
        self._broker = broker
        self._run = run
        self._letters = [dead for topic, dead in zip(STAGE_INPUTS, DEAD_LETTER_TOPICS, strict=True) if topic in chosen]
        self._widths: dict[str, int] = {}
        self._batch: list[NewRecord] = []
        self._offsets: dict[Partition, Committed] = {}

    async def waiting(self) -> list[DeadLetter]:
        """Return the dead letters that have not been put back, with those that cannot be."""
        async with self._opened() as tail:
            return [letter async for _, letter in _unread(tail) if letter is not None]

    async def run(self, limit: int = sys.maxsize) -> Tally:
        """Put back at most `limit` dead letters, the oldest of each partition first.

        Raises:
            FencedError, OutcomeUnknownError: it is not known how far it got; the next one goes on from there.
        """
        tally = Tally()
        self._widths = {topic.name: await self._broker.partitions(topic.of(self._run)) for topic in STAGE_INPUTS}
        async with (
            self._broker.transactional_producer(replay_group(self._run)) as producer,
            self._opened() as tail,
        ):
            async for record, letter in _unread(tail):
                if letter is not None and letter.stays is not None:
                    tally.staying[letter.topic] += 1
                elif tally.put_back.total() < limit:
                    self._pass(record, letter, tally)
                    if len(self._batch) >= _BATCH:
                        await self._commit(producer)
                elif letter is not None:
                    tally.remaining[letter.topic] += 1
            if self._offsets:
                await self._commit(producer)
        return tally

    def _opened(self) -> AbstractAsyncContextManager[Tail]:
        return Tail.of(self._broker, self._run, self._letters)

    def _pass(self, record: Record, letter: DeadLetter | None, tally: Tally) -> None:
        self._offsets[record.partition] = Committed(record.offset + 1)
        if letter is not None:
            self._batch.append(put_back(record, self._widths[letter.topic]))
            tally.put_back[letter.topic] += 1

    async def _commit(self, producer: TransactionalProducer) -> None:
        with anyio.CancelScope(shield=True):
            await producer.begin()
            await producer.send([*self._batch, *self._marks()])
            await producer.send_offsets(replay_group(self._run), self._offsets)
            await producer.commit()
            self._batch, self._offsets = [], {}

    def _marks(self) -> list[NewRecord]:
        sources = {topic.dead_letters_of(self._run): topic.name for topic in STAGE_INPUTS}
        marks = [
            DeadLettersPutBack(topic=sources[partition.topic], partition=partition.number, below=passed.offset)
            for partition, passed in self._offsets.items()
        ]
        return [codec.encode(mark, self._run) for mark in marks]


async def _unread(tail: Tail) -> AsyncIterator[tuple[Record, DeadLetter | None]]:
    """Yield the records that have not been put back, also those that cannot be; without a letter for duplicates.

    A stage that was killed before it had committed has written its dead letters again. Putting both back would make two
    records of one, and two calls to the model.
    """
    seen: set[str] = set()
    async for record in tail.to_end():
        letter = DeadLetter.of(record, put_back=tail.is_put_back(record))
        repeated = letter.origin in seen
        if letter.origin is not None:
            seen.add(letter.origin)
        if repeated and not tail.is_put_back(record):
            yield record, None
        elif not repeated and not letter.put_back:
            yield record, letter
