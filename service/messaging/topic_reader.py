"""Reading topics back: to rebuild a memory, to count, to follow.

Records of one topic come in order; those of several topics come interleaved in no order between them. Dead letters are
topics like others (`service.messaging.dead_letters`), whose messages say what became of a record.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import structlog

from service.errors import BrokerError, DecodeError
from service.messaging import codec
from service.messaging.broker import Broker, Isolation, Partition, Reader, Record
from service.messaging.dead_letters import DEAD_LETTER_TOPICS, DeadLetter, is_copy, replay_group
from service.messaging.messages import Message
from service.messaging.topics import Topic

_BATCH = 1_000
_POLL_S = 0.2
_SILENCE_S = 60.0

log = structlog.get_logger()

Remember = Callable[[Message], None]


class Tail:
    """Topics of a run, read from their beginnings and followed."""

    def __init__(
        self,
        broker: Broker,
        reader: Reader,
        topics: dict[str, Topic[Message]],
        partitions: list[Partition],
        put_back: dict[Partition, int],
    ) -> None:
        self._broker = broker
        self._reader = reader
        self._topics = topics
        self._partitions = partitions
        self._put_back = put_back

    @classmethod
    @asynccontextmanager
    async def of(cls, broker: Broker, run: str, topics: Sequence[Topic[Message]]) -> "AsyncIterator[Tail]":
        """Open topics at their beginnings."""
        by_name = {topic.of(run): topic for topic in topics}
        partitions = [Partition(name, number) for name in by_name for number in range(await broker.partitions(name))]
        put_back = {
            partition: await _put_back_below(broker, run, partition)
            for partition in partitions
            if by_name[partition.topic] in DEAD_LETTER_TOPICS
        }
        async with broker.reader(partitions) as reader:
            yield cls(broker, reader, by_name, partitions, put_back)

    async def records(self, timeout_s: float = _POLL_S) -> list[Record]:
        """Return the next records; none when nothing new came in time."""
        return await self._reader.poll(_BATCH, timeout_s)

    async def next(self, timeout_s: float = _POLL_S) -> list[Message]:
        """Return the next messages that can be read; none when nothing new came in time."""
        found = [self._readable(record) for record in await self.records(timeout_s)]
        return [message for message in found if message is not None]

    def decode(self, record: Record) -> Message:
        """Return the message of a record; raises `DecodeError`."""
        if record.partition in self._put_back:
            return DeadLetter.of(record, put_back=self.is_put_back(record))
        return codec.decode(self._topics[record.partition.topic], record)

    def own(self, record: Record) -> Message | None:
        """Return the message of a record to restore a state from, or none if another program wrote the record.

        Raises:
            DecodeError: it is ours and cannot be read: a memory without it would be wrong.
        """
        try:
            return self.decode(record)
        except DecodeError as error:
            if codec.is_ours(record):
                raise DecodeError(
                    f"{error}; this run remembers by it, so nothing goes on without it: a newer Seedstream "
                    "may have written it, and can read it"
                ) from error
            log.warning("record.foreign", error=str(error))
            return None

    def is_put_back(self, letter: Record) -> bool:
        """Return whether a dead letter had been put back when its topic was opened here."""
        return letter.offset < self._put_back[letter.partition]

    def _readable(self, record: Record) -> Message | None:
        """Return the message of a record; none for poison, of which the stage that reads it writes the dead letter.

        None either for what has been put back from there: it was told where it was written first.
        """
        if is_copy(record) and record.partition not in self._put_back:
            return None
        try:
            return self.decode(record)
        except DecodeError as error:
            log.warning("record.unreadable", error=str(error))
            return None

    async def to_end(self) -> AsyncIterator[Record]:
        """Yield records up to where the topics end now, transactions that are on their way included.

        Raises:
            BrokerError: nothing came for a minute, and the end was not reached.
        """
        targets = {
            partition: await self._broker.end_offset(partition, Isolation.READ_UNCOMMITTED)
            for partition in self._partitions
        }
        heard = anyio.current_time()
        while any(self._reader.position(partition) < target for partition, target in targets.items()):
            for record in await self.records():
                heard = anyio.current_time()
                yield record
            if anyio.current_time() - heard > _SILENCE_S:
                raise BrokerError(f"expected to read {', '.join(self._topics)} to their ends, got nothing for 60 s")

    async def messages_to_end(self) -> AsyncIterator[Message]:
        """Yield the messages that can be read, up to where the topics end now."""
        async for record in self.to_end():
            message = self._readable(record)
            if message is not None:
                yield message


async def _put_back_below(broker: Broker, run: str, partition: Partition) -> int:
    """Return the offset of a partition of dead letters below which all have been put back."""
    committed = await broker.committed(replay_group(run), partition)
    return committed.offset if committed is not None else 0


async def replay(broker: Broker, run: str, topics: Sequence[Topic[Message]], remember: Remember) -> None:
    """Feed every message of the topics to `remember`, up to where they end now.

    Raises:
        DecodeError: a record cannot be read, and a memory without it would be wrong.
    """
    async with Tail.of(broker, run, topics) as tail:
        async for record in tail.to_end():
            if (message := tail.own(record)) is not None:
                remember(message)
