"""The question that a request for a stream of tasks asks."""

import re
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Literal

from aiohttp import web
from msgspec import Struct

from service.errors import ConfigurationError
from service.messaging.offset_vector import parse_vector
from service.web.problems import ProblemError
from service.web.read_model.answers import TaskFilter, TaskOrder
from service.web.reading import query_of
from service.web.task_conditions import TaskConditions

_LAST_EVENT_ID = "Last-Event-ID"
_LATEST_MS = 2**53
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ].+")


class FromTime(Struct, frozen=True):
    """The first task that was finished at a time, in milliseconds of Unix time, or later."""

    timestamp_ms: int


Word = Literal["beginning", "live"]
Start = Word | FromTime | Mapping[int, int]

_WORDS: dict[str, Word] = {"beginning": "beginning", "live": "live"}


class StreamQuery(TaskConditions, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"start": "from"}):
    """The parameters of a stream, as they stand in a URL."""

    start: str = "beginning"
    after: str | None = None
    follow: bool = True

    def wanted(self) -> TaskFilter | None:
        """Return the filter, `None` if all tasks are wanted."""
        found = self.in_order(TaskOrder.NEWEST)
        return None if found == TaskFilter() else found


class Asked(Struct, frozen=True):
    """A stream that a client asks for. If it does not follow, it ends where the log ends now."""

    start: Start
    follow: bool
    wanted: TaskFilter | None


def asked_of(request: web.Request) -> Asked:
    """Return the stream that a request asks for.

    The header `Last-Event-ID`, which a browser sends when it reconnects, wins over `after`, and that over `from`.

    Raises:
        ProblemError: a parameter is unknown, doubled or has a wrong value.
    """
    query = query_of(request, StreamQuery)
    resumed = request.headers.get(_LAST_EVENT_ID) or query.after
    try:
        start = _start(query.start) if resumed is None else parse_vector(resumed)
    except ConfigurationError as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, str(error)) from error
    return Asked(start, query.follow, query.wanted())


def _start(text: str) -> Start:
    if (word := _WORDS.get(text)) is not None:
        return word
    if _TIME.fullmatch(text):
        return FromTime(_milliseconds(text))
    try:
        return parse_vector(text)
    except ConfigurationError as error:
        raise _no_start(text) from error


def _no_start(text: str) -> ConfigurationError:
    return ConfigurationError(
        "from: expected beginning, live, a time with its offset such as 2026-01-31T12:00:00Z, or a position that a "
        f"stream sent, such as 0-120.1-98; got {text[:80]!r}. A + in a URL is written %2B"
    )


def _milliseconds(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _no_start(text)
    return max(0, min(int(moment.timestamp() * 1000), _LATEST_MS))
