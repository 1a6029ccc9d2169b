"""The read model of one run: it follows the topics of the run, and answers questions from its own tables."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import structlog

from service.client.membership import ends_of
from service.errors import CheckpointUnfitError, ReadModelError
from service.messaging.broker import Broker, Record
from service.messaging.messages import RunDefined
from service.messaging.topic_reader import Tail
from service.messaging.topics import (
    CANDIDATES,
    CLASSIFIED,
    CONTROL,
    DECISIONS,
    INSTANCES,
    POOL,
    PROMPTS,
    TASKS,
)
from service.web.read_model import chart_queries, task_queries, verdict_queries
from service.web.read_model.answers import (
    DecisionPage,
    MatchingRows,
    SeedPage,
    Story,
    StreamRow,
    TaskFilter,
    TaskPage,
    Vector,
)
from service.web.read_model.chart_answers import Diversity, Points, SeriesName
from service.web.read_model.database import DamagedFileError, Database
from service.web.read_model.ingest import Ingest, saved_bookmark
from service.web.read_model.pulse import Pulse
from service.web.read_model.search import well_formed
from service.web.read_model.stories import Stories

TOPICS = (PROMPTS, CANDIDATES, POOL, DECISIONS, CLASSIFIED, INSTANCES, TASKS, CONTROL)
_POLL_S = 1.0
_PAUSE_S = 5.0
_LONGEST_PAUSE = 12

log = structlog.get_logger()


class ReadModel:
    """Tables of a run, kept up to date by `follow`.

    `caught_up` is set when everything that was on the log at the start of `follow` is in the tables. `news` beats with
    each batch that is added. All questions may be asked at any time, and see what has been added so far.
    """

    def __init__(self, broker: Broker, run: str, database: Database) -> None:
        self._broker = broker
        self._run = run
        self._database = database
        self._stories = Stories(broker, run, database)
        self._ingest: Ingest | None = None
        self.caught_up = anyio.Event()
        self.news = Pulse()
        self._read_to: dict[int, int] = {}
        self._polls = Pulse()

    @classmethod
    @asynccontextmanager
    async def open(cls, broker: Broker, run: str, file: Path | None) -> "AsyncIterator[ReadModel]":
        """Open the tables in a file, and empty them if they are not those of this run and log.

        Without a file, or while another process has it, they are in a temporary one.

        Raises:
            RecordsGoneError: the beginning of a topic is gone.
        """
        async with Database.open(file, run) as database:
            model = cls(broker, run, database)
            async with model._tail():
                pass
            yield model

    @property
    def generation(self) -> int:
        """A number that grows when the tables are made again while they are open: rows are counted anew then."""
        return self._database.generation

    async def follow(self) -> None:
        """Add the records of the run to the tables until cancelled.

        A file that cannot be written is tried again after a pause, and a damaged one is made again from the log.
        """
        while True:
            try:
                await self._follow()
            except DamagedFileError as error:
                # A file that is damaged again and again, by a faulty disk, is made again ever less often.
                await anyio.sleep(_PAUSE_S * min(self.generation, _LONGEST_PAUSE))
                await self._database.clear(str(error))
            except ReadModelError as error:
                log.warning("read_model.not_written", run=self._run, why=str(error), again_in_s=_PAUSE_S)
                await anyio.sleep(_PAUSE_S)

    async def tasks(self, wanted: TaskFilter, after: int | None = None, limit: int = 50) -> TaskPage:
        """Return a page of finished tasks; `after` is the cursor in the page before."""
        return await self._database.read(lambda connection: task_queries.find_page(connection, wanted, after, limit))

    async def rows(self, after_row: int, limit: int) -> list[StreamRow]:
        """Return the finished tasks behind a row, in the order of reading."""
        return await self._database.read(lambda connection: task_queries.find_rows(connection, after_row, limit))

    async def matching_rows(self, wanted: TaskFilter, after_row: int, limit: int) -> MatchingRows:
        """Return the finished tasks behind a row that meet a filter, in the order of reading."""
        return await self._database.read(
            lambda connection: task_queries.find_matching(connection, wanted, after_row, limit)
        )

    async def last_row(self) -> int:
        """Return the row of the last finished task, 0 if there is none."""
        return await self._database.read(task_queries.last_row)

    async def vector_at(self, row: int) -> Vector:
        """Return the position of a stream that has sent all rows up to this one; partitions at 0 are left out."""
        return await self._database.read(lambda connection: task_queries.vector_at(connection, row))

    async def end_vector(self) -> Vector:
        """Return the end offsets of the topic of finished tasks on the log."""
        return {partition.number: end for partition, end in (await ends_of(self._broker, TASKS.of(self._run))).items()}

    async def reach(self, ends: Mapping[int, int]) -> None:
        """Wait until the finished tasks before these offsets are in the tables."""
        while True:
            seen = self._polls.revision
            if all(self._read_to.get(number, 0) >= end for number, end in ends.items()):
                return
            await self._polls.wait(seen)

    async def first_row_beyond(self, vector: Mapping[int, int]) -> int:
        """Return the first row whose record is not before a position; behind the last row if there is none yet.

        Rows behind it may be before the position too, if they are of other partitions: a stream leaves them out.
        """
        return await self._first(lambda connection: task_queries.first_beyond(connection, dict(vector)))

    async def first_row_at(self, timestamp_ms: int) -> int:
        """Return the first row whose record has this time or a later one; behind the last row if there is none yet."""
        return await self._first(lambda connection: task_queries.first_at(connection, timestamp_ms))

    async def story(self, name: str) -> Story | None:
        """Return the story of a task, candidate, seed or prompt, `None` if nothing has this id.

        Raises:
            BrokerError: the log cannot be read.
        """
        pool = None if self._ingest is None else self._ingest.pool
        return await self._stories.tell(well_formed(name), pool)

    async def decisions(self, reason: str | None = None, after: int | None = None, limit: int = 50) -> DecisionPage:
        """Return a page of verdicts, the latest first; `reason` may be `accepted` too."""
        wanted = None if reason is None else well_formed(reason)
        return await self._database.read(
            lambda connection: verdict_queries.find_verdicts(connection, wanted, after, limit)
        )

    async def seeds(self, after: int | None = None, limit: int = 50) -> SeedPage:
        """Return a page of human-written tasks, in the order of the pool."""
        return await self._database.read(lambda connection: verdict_queries.find_seeds(connection, after, limit))

    async def series(self, name: SeriesName, points: int = 100) -> Points:
        """Return a series with at most this many points (of each reason, for rejections), in order of time."""
        return await self._database.read(lambda connection: chart_queries.find_series(connection, name, points))

    async def diversity(self) -> Diversity:
        """Return how much the machine-written instructions of the pool differ."""
        return await self._database.read(chart_queries.find_diversity)

    async def _first(self, find: Callable[[sqlite3.Connection], int | None]) -> int:
        def found(connection: sqlite3.Connection) -> int:
            row = find(connection)
            return task_queries.last_row(connection) + 1 if row is None else row

        return await self._database.read(found)

    async def _follow(self) -> None:
        language = (await self._definition()).recipe.filters.language
        async with self._tail() as tail:
            self._ingest = await self._database.write(lambda connection: Ingest(connection, language))
            await self._add(self._ingest, tail, ())
            async for batch in tail.record_batches_to_end():
                await self._add(self._ingest, tail, batch)
            self.caught_up.set()
            while True:
                await self._add(self._ingest, tail, await tail.records(_POLL_S))

    async def _add(self, ingest: Ingest, tail: Tail, records: Sequence[Record]) -> None:
        if self._database.is_damaged:
            raise DamagedFileError("a question met a damaged page")
        bookmark = tail.bookmark()
        if records:
            batch = [(record, message) for record in records if (message := tail.readable(record)) is not None]
            await self._database.write(lambda connection: ingest.apply(connection, batch, bookmark))
            self.news.beat()
        name, marks = TASKS.of(self._run), bookmark.marks
        self._read_to = {each.number: mark.position for each, mark in marks.items() if each.topic == name}
        self._polls.beat()

    async def _definition(self) -> RunDefined:
        """Return the definition of the run, as soon as there is one: nothing else can be on the log before it."""
        async with Tail.of(self._broker, self._run, [CONTROL]) as tail:
            async for message in tail.messages_to_end():
                if isinstance(message, RunDefined):
                    return message
            self.caught_up.set()
            while True:
                for message in await tail.next(_POLL_S):
                    if isinstance(message, RunDefined):
                        return message

    @asynccontextmanager
    async def _tail(self) -> AsyncIterator[Tail]:
        """Open the topics where the tables stand; tables that do not fit the log are emptied."""
        async with Tail.of(self._broker, self._run, TOPICS) as tail:
            try:
                bookmark = await self._database.read(saved_bookmark)
                if bookmark is not None:
                    await tail.resume(bookmark)
            except (CheckpointUnfitError, DamagedFileError) as error:
                await self._database.clear(str(error))
            yield tail
