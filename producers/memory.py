"""The memory of the prompt producer: a fold over most topics of a run, which a checkpoint shortens."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from producers.sampling_pool import SamplingPool
from service.checkpoints import Checkpoints, CheckpointWriter, Fold, State
from service.checkpoints.own_records import OwnRecords
from service.errors import CheckpointUnfitError, DecodeError, NewerVersionError
from service.messaging import codec, topics
from service.messaging.bookmark import Bookmark
from service.messaging.broker import Broker, Record
from service.messaging.dead_letters import DEAD_LETTER_TOPICS
from service.messaging.messages import Message, Prompt
from service.messaging.topic_reader import Tail
from service.run.progress import Progress

PRODUCER = Fold("producer", 4)
_FOLLOWED = (topics.CONTROL, topics.POOL, topics.DECISIONS, topics.INSTANCES, topics.TASKS, *DEAD_LETTER_TOPICS)
# Whole completions, most of the log: read only if a limit in dollars needs the cost of the other stages' calls.
_FOLLOWED_FOR_COSTS = (topics.CANDIDATES, topics.CLASSIFIED)

# The parts of messages that are remembered.
PARTS = topics.by_name(
    topics.SHOWN,
    topics.COUNTED_DECISIONS,
    topics.PAID_INSTANCES,
    topics.COUNTED_TASKS,
    topics.PAID_ANSWERS,
    topics.PAID_CLASSIFICATIONS,
)


@dataclass(slots=True)
class Readers:
    """The readers of a producer: of what others write, of prompts, and of the costs of calls if they are needed."""

    stack: AsyncExitStack
    broker: Broker
    run: str
    followed: Tail
    prompts: Tail
    prompts_stack: AsyncExitStack
    costs: Tail | None = None

    @classmethod
    @asynccontextmanager
    async def of(cls, broker: Broker, run: str) -> "AsyncIterator[Readers]":
        """Open the readers at the beginnings of their topics."""
        async with AsyncExitStack() as stack:
            followed = await stack.enter_async_context(Tail.of(broker, run, _FOLLOWED, complete=True))
            of_prompts = await stack.enter_async_context(AsyncExitStack())
            prompts = await of_prompts.enter_async_context(Tail.of(broker, run, [topics.PROMPTS]))
            yield cls(stack, broker, run, followed, prompts, of_prompts)

    async def open_costs(self) -> Tail:
        """Open the reader of costs at the beginnings of its topics."""
        tail = Tail.of(self.broker, self.run, _FOLLOWED_FOR_COSTS, complete=True)
        self.costs = await self.stack.enter_async_context(tail)
        return self.costs

    def bookmark(self) -> Bookmark:
        """Return where all of them stand."""
        marks = [each.bookmark() for each in (self.followed, self.prompts, self.costs) if each is not None]
        return Bookmark(
            {at: mark for each in marks for at, mark in each.marks.items()}, max(each.latest_ms for each in marks)
        )

    async def resume(self, bookmark: Bookmark, /) -> None:
        """Go on where a bookmark stands. Costs are read from now on if they were read then.

        Raises:
            CheckpointUnfitError: the bookmark is not one of this log; all readers are at the beginnings.
        """
        names = {topic.of(self.run) for topic in _FOLLOWED_FOR_COSTS}
        with_costs = any(at.topic in names for at in bookmark.marks)
        readers = [self.followed, self.prompts, *([await self.open_costs()] if with_costs else [])]
        begins = [each.bookmark() for each in readers]
        if bookmark.marks.keys() != {at for begin in begins for at in begin.marks}:
            raise CheckpointUnfitError("the topics have other partitions")
        try:
            for reader, begin in zip(readers, begins, strict=True):
                await reader.resume(Bookmark({at: bookmark.marks[at] for at in begin.marks}, bookmark.latest_ms))
        except CheckpointUnfitError:
            for reader, begin in zip(readers, begins, strict=True):
                await reader.resume(begin)
            raise


class ProducerMemory:
    """The counts of a run and the pool of demonstrations, kept up to date.

    Prompts are remembered when they are written. They are read at the start, and passed before a checkpoint.
    """

    def __init__(self, readers: Readers, checkpoints: Checkpoints) -> None:
        self.progress = Progress()
        self.pool = SamplingPool()
        self._readers = readers
        self._checkpoints = checkpoints
        self._writer = CheckpointWriter(checkpoints, PRODUCER, self._taken)
        self._own_prompts = OwnRecords(PRODUCER.name)

    @property
    def follows_costs(self) -> bool:
        """Whether the cost of all calls is counted."""
        return self._readers.costs is not None

    async def rebuild(self) -> None:
        """Begin with a checkpoint if one fits the log, and read the log from there to its present end."""
        state = await self._checkpoints.restore(PRODUCER, self._readers)
        if state is not None:
            self.progress = Progress.restored(state.part("progress"))
            self.pool.restore(state.part("pool"))
        await self.catch_up()

    async def catch_up(self) -> None:
        """Read the prompts, and then all else, to the present end of the log."""
        async for records in self._readers.prompts.record_batches_to_end():
            self._recall(records)
            await self._note(len(records))
        async for records in self._readers.followed.record_batches_to_end():
            self.apply(self._readers.followed.parts_of(records, PARTS))
            await self._note(len(records))
        await self.read_costs()

    async def next(self) -> Sequence[Message]:
        """Return the next messages of others, which are remembered; none if none come soon."""
        messages = await self._readers.followed.next()
        self.apply(messages)
        if self._readers.costs is not None:
            costs = await self._readers.costs.next(0.0)
            for message in costs:
                self.progress.bill.apply(message)
        await self._note(len(messages))
        return messages

    async def follow(self) -> None:
        """Remember what the active producer writes as well, for a while."""
        await self.next()
        prompts = await self._readers.prompts.records(0.0)
        self._recall(prompts)
        await self._note(len(prompts))

    async def close_prompts_if_unneeded(self) -> None:
        """Read no more prompts if there are no checkpoints: from now on, they are remembered as they are written."""
        if self._checkpoints.folder is None:
            await self._readers.prompts_stack.aclose()

    async def follow_costs(self) -> None:
        """Count the cost of all calls from now on, of those before as well."""
        await self._readers.open_costs()
        await self.read_costs()

    async def read_costs(self) -> bool:
        """Read the cost of calls up to now; returns whether any was new."""
        new = False
        if self._readers.costs is not None:
            async for records in self._readers.costs.record_batches_to_end():
                for message in self._readers.costs.parts_of(records, PARTS):
                    self.progress.bill.apply(message)
                    new = True
        return new

    def remember(self, written: Sequence[Message]) -> None:
        """Remember messages that were committed."""
        self.apply(written)
        prompts = sum(isinstance(message, Prompt) for message in written)
        self._own_prompts.remember(prompts)
        self._writer.note(prompts)

    def apply(self, messages: Sequence[Message]) -> None:
        """Remember messages."""
        for message in messages:
            self.progress.apply(message)
            self.pool.apply(message)

    async def save(self) -> None:
        """Write a checkpoint if anything is new."""
        if self._checkpoints.folder is not None and await self._own_prompts.passed_by(self._readers.prompts):
            await self._writer.finish()

    async def _note(self, records: int) -> None:
        self._writer.note(records)
        if self._writer.is_due:
            await self.save()

    def _recall(self, records: Sequence[Record]) -> None:
        """Take the numbers of prompts, even of those that cannot be read.

        A prompt of a newer version counts as issued, since workers of that version answer it.
        """
        decode = codec.part_decoder(topics.COUNTED_PROMPTS)
        for record in records:
            try:
                self.progress.apply(decode(record))
            except DecodeError as error:
                self._readers.prompts.skip(record, error)
                prompt_id = (record.key or b"").decode("utf-8", "replace")
                self.progress.reserve(prompt_id, issued=isinstance(error, NewerVersionError))

    def _taken(self) -> tuple[Bookmark, State]:
        return self._readers.bookmark(), State.of_parts(progress=self.progress.snapshot(), pool=self.pool.snapshot())
