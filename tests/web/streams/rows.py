"""A read model in memory, for streams: rows of finished tasks in the order of reading."""

from collections.abc import Mapping, Sequence

import anyio
from anyio import lowlevel
from msgspec import structs

from service.messaging.messages import FinishedTask
from service.web.read_model.answers import Classification, MatchingRows, StreamRow, TaskFilter
from service.web.read_model.pulse import Pulse

_MEANS = {Classification.YES: True, Classification.NO: False, Classification.UNKNOWN: None}


class RowsInMemory:
    """Behaves as `ReadModel` does for streams, with filters by classification alone. `reads` counts questions."""

    def __init__(self) -> None:
        self.news = Pulse()
        self.caught_up = anyio.Event()
        self.caught_up.set()
        self.generation = 0
        self.reads = 0
        self._rows: list[StreamRow] = []

    def add(self, *tasks: FinishedTask, partitions: int = 1, value: bytes | None = None) -> None:
        """Add finished tasks; partitions take turns, and leave gaps between offsets, as transactions do."""
        for task in tasks:
            seq = task.task_seq
            self._rows.append(
                StreamRow(
                    row=len(self._rows) + 1,
                    partition=seq % partitions,
                    offset=2 * (seq // partitions),
                    timestamp_ms=1_000 * seq,
                    value=value or task.to_json(),
                    is_classification=task.is_classification,
                    topic=task.topic,
                    model=task.provenance.model,
                    depth=task.provenance.depth,
                    distance=None,
                )
            )
        self.news.beat()

    def reorder(self, order: Sequence[int]) -> None:
        """Make the rows again in another order, as a rebuild does."""
        self._rows = [structs.replace(self._rows[old], row=row) for row, old in enumerate(order, 1)]
        self.generation += 1
        self.news.beat()

    async def rows(self, after_row: int, limit: int) -> list[StreamRow]:
        self.reads += 1
        await lowlevel.checkpoint()
        return self._rows[after_row : after_row + limit]

    async def matching_rows(self, wanted: TaskFilter, after_row: int, limit: int) -> MatchingRows:
        assert wanted.classification is not None
        await lowlevel.checkpoint()
        meets = _MEANS[wanted.classification]
        found = [each for each in self._rows[after_row:] if each.is_classification is meets][:limit]
        return MatchingRows(tuple(found), found[-1].row if len(found) == limit else max(after_row, len(self._rows)))

    async def last_row(self) -> int:
        await lowlevel.checkpoint()
        return len(self._rows)

    async def first_row_beyond(self, vector: Mapping[int, int]) -> int:
        await lowlevel.checkpoint()
        beyond = (each.row for each in self._rows if each.offset >= vector.get(each.partition, 0))
        return next(beyond, len(self._rows) + 1)

    async def first_row_at(self, timestamp_ms: int) -> int:
        await lowlevel.checkpoint()
        return next((each.row for each in self._rows if each.timestamp_ms >= timestamp_ms), len(self._rows) + 1)

    async def vector_at(self, row: int) -> dict[int, int]:
        await lowlevel.checkpoint()
        return {each.partition: each.offset + 1 for each in self._rows[:row]}

    async def end_vector(self) -> dict[int, int]:
        await lowlevel.checkpoint()
        return {number: offset + 1 for number, offset in (await self.vector_at(len(self._rows))).items()}

    async def reach(self, ends: Mapping[int, int]) -> None:
        await lowlevel.checkpoint()
