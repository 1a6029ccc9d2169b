"""Reads the progress of a run from its log, from a checkpoint on if there is one."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from service.checkpoints import Checkpoints, CheckpointWriter, Fold, State
from service.messaging.bookmark import Bookmark
from service.messaging.broker import Broker, Record
from service.messaging.dead_letters import DEAD_LETTER_TOPICS
from service.messaging.interrupted_polls import InterruptedPolls
from service.messaging.messages import Message
from service.messaging.topic_reader import Tail
from service.messaging.topics import (
    ALL,
    COUNTED_DECISIONS,
    COUNTED_PROMPTS,
    COUNTED_TASKS,
    HINTS,
    INSTRUCTIONS,
    PAID_ANSWERS,
    PAID_CLASSIFICATIONS,
    PAID_INSTANCES,
    POOL_TEXTS,
    by_name,
)
from service.run.progress import Progress
from service.run.record_index import RecordIndex

# Nothing is counted of the two others.
COUNTED = tuple(topic for topic in ALL if topic not in (HINTS, INSTRUCTIONS))
# The parts of those messages that are counted.
PARTS = by_name(
    COUNTED_PROMPTS,
    PAID_ANSWERS,
    POOL_TEXTS,
    COUNTED_DECISIONS,
    PAID_CLASSIFICATIONS,
    PAID_INSTANCES,
    COUNTED_TASKS,
)
# The state that `ProgressReader` saves; a change of its meaning needs another version.
PROGRESS = Fold("progress", 3)
# A command that has read fewer records leaves no checkpoint behind.
MANY = 5_000


class ProgressReader:
    """The counts of a run, up to where its log was read, and an index of the records read."""

    def __init__(self, tail: Tail, checkpoints: Checkpoints, state: State | None) -> None:
        self.progress = Progress() if state is None else Progress.restored(state.part("progress"))
        self.index = RecordIndex() if state is None else RecordIndex.restored(state.part("index"))
        tail.unread.update(self.progress.unread)
        self.progress.unread = tail.unread
        self.tail = tail
        self.is_restored = state is not None
        self._writer = CheckpointWriter(checkpoints, PROGRESS, self._take)

    @classmethod
    @asynccontextmanager
    async def open(cls, broker: Broker, run: str, checkpoints: Checkpoints) -> "AsyncIterator[ProgressReader]":
        """Open the log of a run, where the checkpoint stands or at its beginning."""
        async with Tail.of(broker, run, (*COUNTED, *DEAD_LETTER_TOPICS)) as tail:
            yield cls(tail, checkpoints, await checkpoints.restore(PROGRESS, tail))

    async def catch_up(self, tell: Callable[[float], None] = lambda _: None) -> None:
        """Read up to the current end of the log. `tell` gets the share that is read, 0 … 1, again and again."""
        left, read = await self.tail.left(), 0
        async for batch in self.tail.record_batches_to_end():
            await self._apply(batch, self.tail.parts_of(batch, PARTS))
            read += len(batch)
            tell(read / max(left, read, 1))

    async def next(self, polls: InterruptedPolls | None = None) -> list[Message]:
        """Return the next messages, already counted; now and then, write a checkpoint first.

        With `polls`, the wait for messages is one of those.
        """
        records = await (self.tail.records() if polls is None else polls.poll(self.tail.records))
        return await self._apply(records, self.tail.readable_of(records))

    async def batches_to_end(self) -> AsyncIterator[list[Message]]:
        """Yield messages as `next` returns them, up to the current end of the log."""
        async for batch in self.tail.record_batches_to_end():
            yield await self._apply(batch, self.tail.readable_of(batch))

    async def save(self, at_least: int = 1) -> None:
        """Write a checkpoint, if at least this many records were read since the last one."""
        await self._writer.finish(at_least)

    async def _apply(self, batch: Sequence[Record], messages: list[Message]) -> list[Message]:
        self.index.add(batch)
        for message in messages:
            self.progress.apply(message)
        self._writer.note(len(batch))
        if self._writer.is_due:
            await self._writer.finish()
        return messages

    def _take(self) -> tuple[Bookmark, State]:
        state = State.of_parts(progress=self.progress.snapshot(), index=self.index.snapshot())
        return self.tail.bookmark(), state


async def read_progress(broker: Broker, run: str) -> Progress:
    """Return the progress of a run, counted over its topics (not its dead letters) up to their current ends."""
    progress = Progress()
    async with Tail.of(broker, run, ALL) as tail:
        async for message in tail.messages_to_end():
            progress.apply(message)
    return progress
