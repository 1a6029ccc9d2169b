"""Answers `GET /v1/runs/{run}/tasks` with a stream, as server-sent events or JSON Lines."""

from http import HTTPStatus

import anyio
import structlog
from aiohttp import hdrs, web
from msgspec import Struct

from service.task_groups import unwrapped_task_group
from service.web.keys import CALLER, DRAIN, RUNS, STREAM_SLOTS, TOKENS
from service.web.negotiation import accepts_gzip, preferred
from service.web.problems import ProblemError
from service.web.runs import LiveRun
from service.web.streams.endings import end_at_drain, end_with_run, end_with_token
from service.web.streams.feed import TaskFeed, TaskFeeds
from service.web.streams.formats import JSON_LINES, SERVER_SENT_EVENTS, Format
from service.web.streams.query import Asked, asked_of
from service.web.streams.sending import Sender, SlowReaderError
from service.web.streams.stream import TaskStream, opening

PAGE = "application/json"
# A stream that ends where the log ends now waits until the read model has got there.
_OPENS_WITHIN_S = 20.0
_COME_AGAIN = {"Retry-After": "1"}
_FORMATS: dict[str, Format] = {each.content_type: each for each in (SERVER_SENT_EVENTS, JSON_LINES)}

log = structlog.get_logger()


def format_of(request: web.Request) -> Format | None:
    """Return the format of a stream that a request asks for, or `None` if it asks for a page.

    Raises:
        ProblemError: the client accepts neither.
    """
    offered = (PAGE, *_FORMATS)
    chosen = preferred(request.headers.get(hdrs.ACCEPT), offered)
    if chosen is None:
        raise ProblemError(HTTPStatus.NOT_ACCEPTABLE, f"Accept: expected one of {', '.join(offered)}")
    return _FORMATS.get(chosen)


class Times(Struct, frozen=True):
    """A heartbeat follows `heartbeat_s` of silence; a client has `patience_s` to make room for each piece.

    Every `look_s` seconds, the token of a client is looked up again.
    """

    heartbeat_s: float = 15.0
    patience_s: float = 30.0
    look_s: float = 5.0


class TaskStreams:
    """The streams of finished tasks of one application, which share what they read."""

    def __init__(self, times: Times) -> None:
        self._times = times
        self._feeds = TaskFeeds()

    async def stream(self, request: web.Request, form: Format) -> web.StreamResponse:
        """Send the finished tasks of a run.

        Raises:
            ProblemError: a parameter is wrong, or too many streams are open; nothing was sent.
            RunNotFoundError: there is no such run; nothing was sent.
        """
        asked = asked_of(request)
        if request.app[DRAIN].has_begun:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "the service is about to end", headers=_COME_AGAIN)
        with request.app[STREAM_SLOTS].taken(request[CALLER]):
            live = await request.app[RUNS].of(request.match_info["run"])
            feed = self._feeds.of(live.model, asked.wanted)
            return await self._send(request, form, live, feed, asked)

    async def _send(
        self, request: web.Request, form: Format, live: LiveRun, feed: TaskFeed, asked: Asked
    ) -> web.StreamResponse:
        with anyio.fail_after(_OPENS_WITHIN_S):
            opened = await opening(feed, asked.start, follow=asked.follow)
        response = web.StreamResponse(headers=_headers(request, form))
        sender = Sender(request, response, self._times.patience_s)
        stream = TaskStream(feed, form, sender, opened, self._times.heartbeat_s)
        try:
            await sender.begin()
            async with unwrapped_task_group() as tasks:
                tasks.start_soon(end_at_drain, request.app[DRAIN], stream, sender)
                tasks.start_soon(end_with_run, live, stream)
                tasks.start_soon(end_with_token, request.app[TOKENS], request[CALLER], stream, self._times.look_s)
                await stream.send()
                tasks.cancel_scope.cancel()
            await sender.finish()
        except SlowReaderError:
            limit_s = self._times.patience_s
            log.warning("stream.slow_reader", run=live.name, position=stream.position, limit_s=limit_s)
        except ConnectionError:
            log.debug("stream.client_left", run=live.name, position=stream.position)
        return response


def _headers(request: web.Request, form: Format) -> dict[str, str]:
    """Return the headers of a stream: no store or proxy keeps it or holds it back."""
    headers = {
        hdrs.CONTENT_TYPE: f"{form.content_type}; charset=utf-8",
        hdrs.CACHE_CONTROL: "no-store",
        hdrs.VARY: "Accept, Accept-Encoding",
        "X-Accel-Buffering": "no",
    }
    if accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING)):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    return headers
