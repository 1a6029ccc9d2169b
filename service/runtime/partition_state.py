"""The state of one assigned partition: offsets that are unfinished, answered, or being answered by another worker.

An offset that an earlier owner still has in flight is awaited: no call is made for it while its answer may come.
Deadlines are times of the worker's own clock; commit metadata holds the seconds that remain.
"""

from collections.abc import Mapping

from service.messaging.broker import Record
from service.runtime.answer_keys import ANY, AnswerKeys, is_answered, note_answer
from service.runtime.commit_metadata import CommitMetadata, Ends, Marks, whole_seconds
from service.runtime.offset_tracker import OffsetTracker


class PartitionState:
    """The offsets of one partition while one worker owns it.

    `answered` are the offsets with results at the assignment, `awaited` those that earlier owners have in flight, with
    deadlines, `own` those that this worker has in flight from an earlier assignment. An offset may be answered and
    awaited: only the record, once delivered, shows by its key whether the answer is one to an earlier topic. `recorded`
    is the offset that was committed last, with the calls in its metadata.
    """

    def __init__(
        self,
        start: int,
        inherited: CommitMetadata,
        answered: AnswerKeys,
        awaited: Mapping[int, float],
        own: set[int],
    ) -> None:
        self.recorded: tuple[int, Mapping[int, int]] | None = None
        self._tracker = OffsetTracker(start)
        self._answered = {offset: keys for offset, keys in answered.items() if offset >= start}
        self._awaited = {
            offset: deadline
            for offset, deadline in awaited.items()
            if offset >= start and answered.get(offset) != ANY and offset not in own
        }
        self._marks = Marks(inherited.ends, max(self._answered.keys() | self._awaited.keys() | own, default=-1) + 1)
        self._parked: dict[int, Record] = {}

    @property
    def awaited(self) -> int:
        """Return how many answers of other workers are awaited."""
        return len(self._awaited)

    @property
    def unfinished(self) -> int:
        """Return how many records have been delivered from the lowest unfinished one on."""
        return self._tracker.unfinished

    def deliver(self, records: Mapping[int, Record], position: int, ends: Ends) -> list[Record]:
        """Enter polled records; returns those that are neither answered nor awaited from another worker."""
        unanswered = []
        for offset in self._tracker.deliver(list(records), position):
            self._marks.delivered(offset, ends)
            if is_answered(records[offset], self._answered.pop(offset, ())):
                self.finish(offset)
            elif offset in self._awaited:
                self._parked[offset] = records[offset]
            else:
                unanswered.append(records[offset])
        return unanswered

    def finish(self, offset: int) -> None:
        """Mark an offset as answered on the log; it may not have been delivered here yet."""
        self._awaited.pop(offset, None)
        self._parked.pop(offset, None)
        if offset < self._tracker.position:
            self._tracker.finish(offset)
        else:
            self._answered[offset] = ANY

    def note_answer(self, offset: int, key: bytes | None) -> bool:
        """Note an answer on the log; returns whether it finishes a record that another worker was to answer."""
        if offset not in self._awaited:
            return False
        if offset not in self._parked:
            note_answer(self._answered, offset, key)
            return False
        if not is_answered(self._parked[offset], (key,)):
            return False
        self.finish(offset)
        return True

    def is_due(self, deadline: float) -> bool:
        """Return whether an answer of another worker is due by a deadline."""
        return any(latest <= deadline for latest in self._awaited.values())

    def expire(self, deadline: float) -> list[Record]:
        """Stop waiting for answers due by a deadline; returns their records, as far as delivered."""
        late = [offset for offset, latest in self._awaited.items() if latest <= deadline]
        for offset in late:
            del self._awaited[offset]
        return [self._parked.pop(offset) for offset in late if offset in self._parked]

    def metadata(self, ends: Ends, now: float) -> tuple[int, CommitMetadata]:
        """Return the offset to commit and its metadata; `ends` are the present end offsets of the results."""
        watermark = self._tracker.watermark
        remaining = {offset: whole_seconds(deadline - now) for offset, deadline in self._awaited.items()}
        return watermark, CommitMetadata(self._marks.at(watermark, ends), remaining)
