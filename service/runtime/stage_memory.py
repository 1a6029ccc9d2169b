"""The memory of a stage that has one, as the log has it: rebuilt from its own results, and saved in checkpoints.

A checkpoint is what all results below some offsets, and no others, have made of the memory. While the stage works, it
remembers its results when they are committed and does not read them; so before a checkpoint, the reader passes them.
If it meets others than those, which nobody but this stage may write, there are no more checkpoints.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from service.checkpoints import NO_CHECKPOINTS, Checkpoints, CheckpointWriter, State
from service.checkpoints.own_records import OwnRecords
from service.messaging import codec
from service.messaging.bookmark import Bookmark
from service.messaging.broker import Partition, Record
from service.messaging.messages import Message
from service.messaging.topic_reader import Tail
from service.messaging.topics import TOPIC_OF_TYPE
from service.runtime.stage import StatefulStage

_POLL_S = 1.0
_ANSWERED_BELOW = "answered_below"


class StageMemory:
    """The memory of a stage, and the reader of its results, which is needed to the end if there are checkpoints.

    `answered_below` is the offset behind the last input with a result.
    """

    def __init__(
        self, stage: StatefulStage[Any], tail: Tail, source: Partition, checkpoints: Checkpoints = NO_CHECKPOINTS
    ) -> None:
        self.answered_below = 0
        self._stage = stage
        self._tail = tail
        self._source = source
        self._checkpoints = checkpoints
        self.is_saved = checkpoints.folder is not None
        self._writer = CheckpointWriter(checkpoints, stage.fold, self._taken)
        self._topics = {topic.name for topic in stage.restores}
        self._own = OwnRecords(stage.name)

    async def resume(self) -> None:
        """Begin with a checkpoint, if there is one that fits the log."""
        state = await self._checkpoints.restore(self._stage.fold, self._tail)
        if state is not None:
            self._stage.resume(state)
            self.answered_below = state.values[_ANSWERED_BELOW]

    async def read_to_end(self) -> None:
        """Remember all results up to the present end of the log."""
        async for records in self._tail.record_batches_to_end():
            await self.apply(records)

    async def records(self) -> list[Record]:
        """Return the next results, or an empty list if none come."""
        return await self._tail.records(_POLL_S)

    async def apply(self, records: Sequence[Record]) -> None:
        """Remember results that were read."""
        for record in records:
            if (message := self._tail.own(record)) is not None:
                self._stage.restore(message)
        self._look(records)
        self._writer.note(len(records))
        await self.save_if_due()

    def remember(self, results: Iterable[Message]) -> None:
        """Remember results that were committed."""
        count = 0
        for message in results:
            self._stage.restore(message)
            count += TOPIC_OF_TYPE[type(message)].name in self._topics
        self._own.remember(count)
        self._writer.note(count)

    async def save_if_due(self) -> None:
        """Write a checkpoint if it is time."""
        if self._writer.is_due:
            await self.save()

    async def save(self) -> None:
        """Write a checkpoint if anything is new."""
        if self.is_saved and await self._own.passed_by(self._tail, self._look):
            await self._writer.finish()

    def _look(self, records: Sequence[Record]) -> None:
        """Note the last input that these results name: they are in the order of their inputs."""
        for record in reversed(records):
            partition, offset = codec.cause_of(record) or (None, 0)
            if partition == self._source and codec.is_ours(record):
                self.answered_below = max(self.answered_below, offset + 1)
                return

    def _taken(self) -> tuple[Bookmark, State]:
        state = self._stage.snapshot()
        return self._tail.bookmark(), State({**state.values, _ANSWERED_BELOW: self.answered_below}, state.arrays)
