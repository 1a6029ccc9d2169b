"""One stream of finished tasks to one client."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from random import Random

import anyio
from msgspec import Struct

from service.errors import SeedstreamError
from service.messaging.offset_vector import covers, later_of, vector_text
from service.web.problems import ProblemError, document_of, problem_of
from service.web.streams.feed import Batch, Place, RowsRenumberedError, TaskFeed, TaskRows
from service.web.streams.formats import Format
from service.web.streams.query import FromTime, Start, Word
from service.web.streams.sending import Sender

# Clients of a service that ends come back one after another.
_RETRY_MS = (1_000, 3_000)

_random = Random()  # noqa: S311 - no secret


class Opening(Struct, frozen=True):
    """The beginning of a stream: a place, the vector that all its positions cover, and its last row if it has one."""

    place: Place
    start: Mapping[int, int]
    last_row: int | None


async def opening(feed: TaskFeed, start: Start, *, follow: bool) -> Opening:
    """Find the place of a start in the read model. A stream that does not follow ends where the log ends now.

    Raises:
        ProblemError: the log ends before the position.
    """
    model = feed.model
    generation = model.generation
    if isinstance(start, Mapping):
        await _check(model, start)
    if not follow:
        await model.reach(await model.end_vector())
    last = await model.last_row()
    if isinstance(start, Mapping):
        row, vector = await model.first_row_beyond(start) - 1, start
    else:
        row = await _row_before(model, start, last)
        vector = await model.vector_at(row)
    return Opening(Place(generation, row), vector, None if follow else last)


async def _row_before(model: TaskRows, start: FromTime | Word, last: int) -> int:
    if isinstance(start, FromTime):
        return await model.first_row_at(start.timestamp_ms) - 1
    return last if start == "live" else 0


async def _check(model: TaskRows, start: Mapping[int, int]) -> None:
    """Raise `ProblemError` for a position behind the end of the log."""
    if covers(await model.vector_at(await model.last_row()), start):
        return
    ends = await model.end_vector()
    if not covers(ends, start):
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            f"position: expected one up to the end of the log ({vector_text(ends)}), got {vector_text(start)[:80]}: it "
            "is of another run, or the log was restored from an earlier copy. Start at beginning or live instead",
        )


class TaskStream:
    """The tasks behind an opening, written in a format, with a heartbeat after `heartbeat_s` of silence."""

    def __init__(self, feed: TaskFeed, form: Format, sender: Sender, opened: Opening, heartbeat_s: float) -> None:
        self._feed = feed
        self._form = form
        self._sender = sender
        self._place = opened.place
        self._start = opened.start
        self._last_row = opened.last_row
        self._vector = opened.start
        self._heartbeat_s = heartbeat_s
        self._ends = False
        self._problem: ProblemError | None = None
        self._waiting: anyio.CancelScope | None = None

    @property
    def position(self) -> str:
        """The position up to which everything has been sent."""
        return vector_text(self._vector)

    def end_soon(self, problem: ProblemError | None) -> None:
        """End the stream behind what is being written, with the problem that is the reason if there is one."""
        self._ends, self._problem = True, problem
        if self._waiting is not None:
            self._waiting.cancel()

    async def send(self) -> None:
        """Send the stream to its end. An error that ends it is its last event.

        Raises:
            SlowReaderError: the client was too slow.
            ConnectionError: the client has left.
        """
        await self._sender.send(self._form.beginning(self.position, _random.randint(*_RETRY_MS)))
        try:
            await self._send_batches()
        except SeedstreamError as error:
            self._problem = problem_of(error)
        except ProblemError as error:
            self._problem = error
        if self._problem is not None:
            await self._sender.send(self._form.error(document_of(self._problem)))
        elif self._is_complete:
            await self._sender.send(self._form.end(self.position))

    @property
    def _is_complete(self) -> bool:
        return self._last_row is not None and self._place.row >= self._last_row

    async def _send_batches(self) -> None:
        while not (self._ends or self._is_complete):
            batch = await self._next_batch()
            if batch is not None:
                await self._send_batch(batch)
            if anyio.current_time() >= self._heartbeat_due_s and not self._ends:
                await self._sender.send(self._form.heartbeat(self.position))

    async def _next_batch(self) -> Batch | None:
        """Return the next batch, or `None` if a heartbeat is due before, or the stream ends."""
        with self._interruptible():
            try:
                return await self._feed.after(self._place)
            except RowsRenumberedError:
                opened = await opening(self._feed, self._vector, follow=self._last_row is None)
                self._place, self._start, self._last_row = opened.place, opened.start, opened.last_row
        return None

    async def _send_batch(self, batch: Batch) -> None:
        written = batch.written(self._form, self._start, self._last_row)
        if written:
            await self._sender.send(written)
        self._place = batch.next
        self._vector = later_of(self._start, batch.behind)

    @property
    def _heartbeat_due_s(self) -> float:
        return self._sender.sent_s + self._heartbeat_s

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Wait inside the block until a heartbeat is due or `end_soon` is called."""
        with anyio.CancelScope(deadline=self._heartbeat_due_s) as self._waiting:
            yield
        self._waiting = None
