"""The finished tasks of a run from a live service, without loss and without doubles over its restarts."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Literal, Self

import aiohttp
import anyio
import structlog
from msgspec import Struct, structs

from service.client.http.connection import Connection, ServiceError, read_piece
from service.client.http.lines import Line, Lines
from service.client.http.retries import BACKOFF, Retries
from service.lm.backoff import Backoff
from service.messaging.messages import FinishedTask
from service.messaging.offset_vector import BEGINNING

# A service is silent for 15 s at most.
_SILENCE_S = 45.0

log = structlog.get_logger()


class TaskFilter(Struct, frozen=True, kw_only=True):
    """Conditions on tasks, all of which must hold; `q` are words of the task, `min_distance` is one less ROUGE-L."""

    q: str | None = None
    classification: Literal["yes", "no", "unknown"] | None = None
    origin: Literal["human", "machine"] | None = None
    topic: str | None = None
    model: str | None = None
    depth: int | None = None
    min_distance: float | None = None

    def query(self) -> dict[str, str]:
        """Return the parameters of a request."""
        return {name: str(value) for name, value in structs.asdict(self).items() if value is not None}


ALL_TASKS = TaskFilter()


class StreamOptions(Struct, frozen=True, kw_only=True):
    """The options of a stream.

    `start` is `beginning`, `now`, a time with its offset, or a `position` of an earlier stream of this run. With
    `until_end`, the stream ends where the log ends at the time of the request, the last one if there were several.
    After `give_up_s` seconds of failures, the stream raises; `None` is never. `compressed` asks for gzip.
    `backoff` spreads connections after failures.
    """

    start: str | datetime = "beginning"
    wanted: TaskFilter = ALL_TASKS
    until_end: bool = False
    give_up_s: float | None = 300.0
    compressed: bool = False
    backoff: Backoff = BACKOFF


class HttpTasks:
    """The stream of a run's finished tasks; not safe for concurrent readers.

    `position` is behind the last task that was given: a stream that starts there goes on with the next one.
    """

    def __init__(self, connection: Connection, run: str, options: StreamOptions) -> None:
        self.position = BEGINNING
        self._connection = connection
        self._run = run
        self._options = options
        self._read: str | None = None
        self._waiting: deque[Line] = deque()
        self._stack = AsyncExitStack()
        self._body: _Body | None = None
        self._retries = Retries(options.give_up_s, options.backoff)
        self._is_over = False

    @classmethod
    @asynccontextmanager
    async def of(cls, connection: Connection, run: str, options: StreamOptions) -> AsyncIterator[Self]:
        """Open the stream; the first connection is made here.

        Raises:
            ServiceError: the service refuses the stream, or could not be reached in time.
        """
        tasks = cls(connection, run, options)
        async with tasks._stack:
            await tasks._fill()
            yield tasks

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FinishedTask:
        """Return the next task, and set `position` behind it.

        Raises:
            ServiceError: the service refuses to go on, or could not be reached in time.
        """
        while True:
            while self._waiting:
                line = self._waiting.popleft()
                self.position = line.id or self.position
                if line.task is not None:
                    return line.task
            if self._is_over:
                raise StopAsyncIteration
            await self._fill()

    async def _fill(self) -> None:
        """Read the next lines; connect first if there is no connection, and again after a failure."""
        while not self._waiting and not self._is_over:
            try:
                await self._read_lines()
            except ServiceError as error:
                await self._stack.aclose()
                self._body = None
                wait_s = self._retries.wait_s(error)
                log.warning(
                    "stream.reconnects", run=self._run, why=str(error), position=self._read, in_s=round(wait_s, 1)
                )
                await anyio.sleep(wait_s)

    async def _read_lines(self) -> None:
        with anyio.move_on_after(_SILENCE_S):
            if self._body is None:
                self._body = _Body(await self._stack.enter_async_context(self._request()), Lines())
            if not (piece := await read_piece(self._body.response)):
                raise ServiceError("the service has ended the stream")
            for line in self._body.lines.of(piece):
                self._take(line)
                if line.task is not None or line.end or self._body.has_begun:
                    self._retries.succeeded()
                self._body.has_begun = True
            return
        raise ServiceError(f"the service was silent for {_SILENCE_S:g} s")

    def _take(self, line: Line) -> None:
        if line.error is not None:
            raise ServiceError(f"the service ends the stream: {line.error.detail or line.error.title}")
        if self._read is None:
            self.position = line.id or self.position
        self._read = line.id or self._read
        self._is_over = line.end
        self._waiting.append(line)

    def _request(self) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        options = self._options
        query = {**options.wanted.query(), **self._place(), "follow": "false" if options.until_end else "true"}
        encoding = "gzip" if options.compressed else "identity"
        headers = {"Accept": "application/x-ndjson", "Accept-Encoding": encoding}
        return self._connection.answer("GET", "runs", self._run, "tasks", query=query, headers=headers)

    def _place(self) -> dict[str, str]:
        """Return the parameter for where to go on, or where to start."""
        if self._read is not None:
            return {"after": self._read}
        start = self._options.start
        text = start.isoformat() if isinstance(start, datetime) else start
        return {"from": "live" if text == "now" else text}


class _Body(Struct):
    """The body of a stream that is being read; it `has_begun` once its first line, a position, has come."""

    response: aiohttp.ClientResponse
    lines: Lines
    has_begun: bool = False
