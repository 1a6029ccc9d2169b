"""The finished tasks of a run that meet a filter, in batches that all streams at the same place share.

A batch holds the rows of the read model behind a place. Streams that follow a run ask for the same batches at the same
time, since new rows are taken notice of at most every `_EVERY_S` seconds: the first stream reads a batch from the read
model, the others wait for it, and a format writes it once. The latest batches are kept.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Protocol
from weakref import WeakKeyDictionary, WeakValueDictionary

import anyio
from msgspec import Struct

from service.messaging.offset_vector import Vector, covers, later_of, vector_text
from service.web.read_model.answers import MatchingRows, StreamRow, TaskFilter
from service.web.read_model.pulse import Pulse
from service.web.streams.formats import Format, one_line

_EVERY_S = 0.05
_ROWS = 256
_KEPT_BYTES = 24 * 1024 * 1024
# The size of a row beside its value, which is kept as it is on the log and in each format.
_ROW_BYTES, _COPIES = 512, 3


class TaskRows(Protocol):
    """The part of the read model that streams read; `ReadModel` explains it."""

    news: Pulse
    caught_up: anyio.Event

    @property
    def generation(self) -> int:
        """A number that grows when rows are counted anew."""
        ...

    async def rows(self, after_row: int, limit: int) -> Sequence[StreamRow]:
        """Return the rows behind a row."""
        ...

    async def matching_rows(self, wanted: TaskFilter, after_row: int, limit: int) -> MatchingRows:
        """Return the rows behind a row that meet a filter, and up to which row that is known."""
        ...

    async def last_row(self) -> int:
        """Return the last row, 0 if there is none."""
        ...

    async def first_row_beyond(self, vector: Mapping[int, int]) -> int:
        """Return the first row that a vector does not cover."""
        ...

    async def first_row_at(self, timestamp_ms: int) -> int:
        """Return the first row of a time or later."""
        ...

    async def vector_at(self, row: int) -> dict[int, int]:
        """Return the next offset of each partition behind a row."""
        ...

    async def end_vector(self) -> dict[int, int]:
        """Return the end offsets of the log."""
        ...

    async def reach(self, ends: Mapping[int, int]) -> None:
        """Wait until the tasks before these offsets are in the tables."""
        ...


class RowsRenumberedError(Exception):
    """The read model was made again, and counts its rows anew; a stream has to find its place by its position."""


class Place(Struct, frozen=True):
    """A place behind a row of one generation of the read model."""

    generation: int
    row: int


class SentRow(Struct, frozen=True):
    """A row as streams send it: `value` is JSON of one line; the stream stands at `vector` behind it."""

    row: StreamRow
    value: bytes
    vector: Vector


class Batch:
    """The rows behind `place` that meet a filter, up to row `up_to`; the vector before them, and behind `up_to`."""

    def __init__(self, place: Place, up_to: int, rows: Sequence[SentRow], before: Vector, behind: Vector) -> None:
        self.place = place
        self.rows = rows
        self.before = before
        self.behind = behind
        self.next = Place(place.generation, up_to)
        self.size = _ROW_BYTES + sum(_ROW_BYTES + _COPIES * len(each.value) for each in rows)
        self._written: dict[str, bytes] = {}

    def written(self, form: Format, start: Vector, last_row: int | None) -> bytes:
        """Return the rows up to `last_row` that a start does not cover, in a format.

        Their positions cover the start. Streams whose start lies before this batch share what is written.
        """
        if not covers(self.before, start) or (last_row is not None and last_row < self.next.row):
            return b"".join(
                form.task(vector_text(later_of(start, each.vector)), each.value)
                for each in self.rows
                if each.row.offset >= start.get(each.row.partition, 0)
                and (last_row is None or each.row.row <= last_row)
            )
        if (known := self._written.get(form.content_type)) is None:
            known = b"".join(form.task(vector_text(each.vector), each.value) for each in self.rows)
            self._written[form.content_type] = known
        return known


class TaskFeed:
    """The batches of the tasks that meet a filter; without one, of all tasks."""

    def __init__(self, model: TaskRows, wanted: TaskFilter | None) -> None:
        self.model = model
        self._wanted = wanted
        self._batches: OrderedDict[Place, Batch] = OrderedDict()
        self._kept_bytes = 0
        self._reads: dict[Place, anyio.Event] = {}
        self._end = 0
        self._next_look_s = 0.0

    async def after(self, place: Place) -> Batch:
        """Return the batch behind a place, as soon as there are rows.

        Raises:
            RowsRenumberedError: the place belongs to an earlier generation.
        """
        while (known := self._batches.get(place)) is None:
            if (read := self._reads.get(place)) is None:
                await self._read_for_all(place)
            else:
                await read.wait()
        self._batches.move_to_end(place)
        return known

    async def _read_for_all(self, place: Place) -> None:
        """Read a batch; if this stream ends before, another one that waits for the batch goes on."""
        read = self._reads[place] = anyio.Event()
        try:
            self._keep(await self._next_batch(place))
        finally:
            del self._reads[place]
            read.set()

    async def _next_batch(self, place: Place) -> Batch:
        while True:
            if place.row >= self._end:
                await anyio.sleep_until(self._next_look_s)
            seen = self.model.news.revision
            batch = await self._read(place)
            if self.model.generation != place.generation:
                raise RowsRenumberedError
            if len(batch.rows) < _ROWS:
                self._end, self._next_look_s = batch.next.row, anyio.current_time() + _EVERY_S
            if batch.next.row > place.row:
                return batch
            await self.model.news.wait(seen)

    async def _read(self, place: Place) -> Batch:
        before = await self._vector_at(place)
        found, up_to = await self._rows_behind(place.row)
        rows, vector = [], before
        for each in found:
            vector = later_of(vector, {each.partition: each.offset + 1})
            rows.append(SentRow(each, one_line(each.value), vector))
        if self._wanted is not None:
            vector = await self.model.vector_at(up_to)
        return Batch(place, up_to, rows, before, vector)

    async def _rows_behind(self, row: int) -> tuple[Sequence[StreamRow], int]:
        if self._wanted is None:
            rows = await self.model.rows(row, _ROWS)
            return rows, rows[-1].row if rows else row
        found = await self.model.matching_rows(self._wanted, row, _ROWS)
        return found.rows, found.examined

    async def _vector_at(self, place: Place) -> Vector:
        last = next(reversed(self._batches.values()), None)
        return last.behind if last is not None and last.next == place else await self.model.vector_at(place.row)

    def _keep(self, batch: Batch) -> None:
        self._batches[batch.place] = batch
        self._kept_bytes += batch.size
        while self._kept_bytes > _KEPT_BYTES and len(self._batches) > 1:
            self._kept_bytes -= self._batches.popitem(last=False)[1].size


class TaskFeeds:
    """The feeds that open streams use: one for each run and filter."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[TaskRows, WeakValueDictionary[TaskFilter | None, TaskFeed]] = WeakKeyDictionary()

    def of(self, model: TaskRows, wanted: TaskFilter | None) -> TaskFeed:
        """Return the feed of a filter, the same one for all streams at a time."""
        feeds = self._of.setdefault(model, WeakValueDictionary())
        if (known := feeds.get(wanted)) is None:
            known = feeds[wanted] = TaskFeed(model, wanted)
        return known
