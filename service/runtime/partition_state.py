"""The state of one assigned partition: offsets that are unfinished, answered, or being answered by another worker.

An offset that an earlier owner still has in flight is awaited: no call is made for it while its answer may come.
Deadlines are times of the worker's own clock; commit metadata holds the seconds that remain.
"""

from collections.abc import Mapping

from service.messaging.broker import Record
from service.runtime.commit_metadata import CommitMetadata, Ends, Marks, whole_seconds
from service.runtime.offset_tracker import OffsetTracker


class PartitionState:
    """The offsets of one partition while one worker owns it.

    `answered` are the offsets with results at the assignment, `awaited` those that earlier owners have in flight, with
    deadlines, `own` those that this worker has in flight from an earlier assignment, `keys` those of the answers.
    `recorded` is the offset that was committed last, with the calls in its metadata.
    """

    def __init__(
        self,
        start: int,
        inherited: CommitMetadata,
        answered: set[int],
        awaited: Mapping[int, float],
        own: set[int],
        *,
        keys: dict[int, bytes] | None = None,
    ) -> None:
        self.recorded: tuple[int, Mapping[int, int]] | None = None
        self._tracker = OffsetTracker(start)
        self._answered = {offset for offset in answered if offset >= start}
        self._awaited = {
            offset: deadline
            for offset, deadline in awaited.items()
            if offset >= start and offset not in answered and offset not in own
        }
        self._marks = Marks(inherited.ends, max(self._answered | self._awaited.keys() | own, default=-1) + 1)
        self._parked: dict[int, Record] = {}
        self._keys = keys if keys is not None else {}

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
            if self._is_answered(records[offset]):
                self._tracker.finish(offset)
            elif offset in self._awaited:
                self._parked[offset] = records[offset]
            else:
                unanswered.append(records[offset])
        return unanswered

    def _is_answered(self, record: Record) -> bool:
        """Return whether there is an answer to a record; one with another key answers a record of an earlier topic."""
        found, key = record.offset in self._answered, self._keys.pop(record.offset, None)
        self._answered.discard(record.offset)
        return found and (key is None or record.key is None or key == record.key)

    def finish(self, offset: int) -> None:
        """Mark an offset as answered on the log; it may not have been delivered here yet."""
        self._awaited.pop(offset, None)
        self._parked.pop(offset, None)
        if offset < self._tracker.position:
            self._tracker.finish(offset)
        else:
            self._answered.add(offset)

    def awaits(self, offset: int) -> bool:
        """Return whether the answer to an offset is awaited from another worker."""
        return offset in self._awaited

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
