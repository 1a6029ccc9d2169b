"""The state of a run as server-sent events: at once when something changed, and at most once a second."""

from collections.abc import Awaitable, Callable

import anyio
import msgspec
from aiohttp import web

from service.task_groups import unwrapped_task_group
from service.web.api.run_facts import facts_of
from service.web.keys import CALLER, DRAIN, RUNS, STREAM_SLOTS, TOKENS
from service.web.runs import LiveRun

EVENTS = "text/event-stream"
_AT_MOST_EVERY_S = 1.0
# Some facts change without a record: who works on the run, and how long nothing has moved.
_AT_LEAST_EVERY_S = 15.0
_PATIENCE_S = 30.0
_LAST_WITHIN_S = 2.0
_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}


async def follow_progress(request: web.Request) -> web.StreamResponse:
    """Send the state of a run until the client leaves, its token is gone, the log fails or the service ends."""
    caller = request[CALLER]
    with request.app[STREAM_SLOTS].taken(caller):
        live = await request.app[RUNS].of(request.match_info["run"])
        first = await _event(live)
        response = web.StreamResponse(headers=_HEADERS)
        await response.prepare(request)
        async with unwrapped_task_group() as tasks:
            tasks.start_soon(_end, request.app[DRAIN].begins, tasks.cancel_scope)
            tasks.start_soon(_end, live.closed.wait, tasks.cancel_scope)
            await _send(response, live, first, lambda: request.app[TOKENS].are_valid(caller))
            tasks.cancel_scope.cancel()
        if request.app[DRAIN].has_begun and not live.closed.is_set():
            await _send_last(response, live)
        return response


async def _send_last(response: web.StreamResponse, live: LiveRun) -> None:
    """Send the state as of the end of the log: the service of a run that has just ended ends with it."""
    with anyio.move_on_after(_LAST_WITHIN_S):
        await live.read_all()
        await response.write(await _event(live))


async def _send(response: web.StreamResponse, live: LiveRun, event: bytes, may_go_on: Callable[[], bool]) -> None:
    while may_go_on():
        revision = live.news.revision
        with anyio.move_on_after(_PATIENCE_S) as patience:
            await response.write(event)
        if patience.cancelled_caught:
            return
        await anyio.sleep(_AT_MOST_EVERY_S)
        with anyio.move_on_after(_AT_LEAST_EVERY_S):
            await live.news.wait(revision)
        event = await _event(live)


async def _event(live: LiveRun) -> bytes:
    return b"event: progress\ndata: " + msgspec.json.encode(await facts_of(live)) + b"\n\n"


async def _end(has_come: Callable[[], Awaitable[object]], scope: anyio.CancelScope) -> None:
    await has_come()
    scope.cancel()
