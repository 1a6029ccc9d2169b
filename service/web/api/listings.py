"""Pages of what the tables of a run hold: tasks, verdicts and seeds, and the values of charts."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta, Raw, Struct

from service.messaging.offset_vector import vector_text
from service.selfinstruct.tasks import Reason
from service.web.api.run_facts import time_of
from service.web.keys import RUNS
from service.web.problems import ProblemError
from service.web.read_model.answers import DecisionPage, FoundTask, SeedPage, Story, TaskOrder
from service.web.read_model.decision_rows import ACCEPTED
from service.web.reading import query_of
from service.web.task_conditions import TaskConditions, Words

_MOST = 2**53 - 1
_SHOWN = 50
_REASONS = (ACCEPTED, *map(str, Reason))
Limit = Annotated[int, Meta(ge=1, le=200)]
Cursor = Annotated[int, Meta(ge=0, le=_MOST)]


class TaskQuery(TaskConditions, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"start": "from"}):
    """The parameters of a page of tasks. `q` are words of instruction, inputs and outputs; `cursor` that of a page.

    `from`, `after` and `follow` belong to streams; a page is refused with them.
    """

    order: TaskOrder = TaskOrder.NEWEST
    cursor: Cursor | None = None
    limit: Limit = _SHOWN
    start: Words | None = None
    after: Words | None = None
    follow: bool | None = None


class PageTask(Struct, frozen=True, kw_only=True):
    """A finished task as on the log, and the position of a stream that has just sent it.

    `distance` is that to the nearest earlier task of the pool, null if it is above the limit searched.
    """

    id: str
    finished_at: str | None
    distance: float | None
    task: Raw


class TaskPage(Struct, frozen=True, kw_only=True):
    """A page of tasks. `next` is the cursor of the next one, null on the last; `total` counts over all pages."""

    tasks: list[PageTask]
    next: int | None
    total: int


async def answer_page(request: web.Request) -> web.Response:
    """Answer with a page of the finished tasks of a run."""
    page = await list_tasks(request)
    return web.Response(body=msgspec.json.encode(page), content_type="application/json", headers={"Vary": "Accept"})


async def list_tasks(request: web.Request) -> TaskPage:
    """Return a page of the finished tasks of a run.

    Raises:
        ProblemError: a parameter belongs to a stream.
    """
    asked = query_of(request, TaskQuery)
    given = {"from": asked.start, "after": asked.after, "follow": asked.follow}
    if of_streams := [name for name, value in given.items() if value is not None]:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            f"query: {', '.join(of_streams)} belong to a stream, and this request asks for a page; the header Accept: "
            "text/event-stream or Accept: application/x-ndjson asks for a stream",
        )
    live = await request.app[RUNS].of(request.match_info["run"])
    page = await live.model.tasks(asked.in_order(asked.order), asked.cursor, asked.limit)
    return TaskPage(tasks=[_shown(each) for each in page.tasks], next=page.next, total=page.total)


def _shown(found: FoundTask) -> PageTask:
    task = found.task
    return PageTask(
        id=vector_text(found.vector),
        finished_at=time_of(task.timestamp_ms),
        distance=task.distance,
        task=Raw(task.value),
    )


class DecisionQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of a page of verdicts; `reason` is that of a rejection, or `accepted`.

    A reason that is unknown and does not occur in the run is refused.
    """

    reason: Words | None = None
    cursor: Cursor | None = None
    limit: Limit = _SHOWN


async def list_decisions(request: web.Request) -> DecisionPage:
    """Return a page of the verdicts on candidates, the latest first.

    Raises:
        ProblemError: the reason is unknown, and no verdict has it; a newer version may have written others.
    """
    asked = query_of(request, DecisionQuery)
    live = await request.app[RUNS].of(request.match_info["run"])
    reason = asked.reason or None
    if reason is not None and reason not in _REASONS and not (await live.model.decisions(reason, None, 1)).verdicts:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            f"reason: expected one of {', '.join(_REASONS)}, or one that occurs in the run; got {reason[:80]!r}",
        )
    return await live.model.decisions(reason, asked.cursor, asked.limit)


class SeedQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of a page of seeds."""

    cursor: Cursor | None = None
    limit: Limit = _SHOWN


async def list_seeds(request: web.Request) -> SeedPage:
    """Return a page of the seed tasks of the pool, in its order."""
    asked = query_of(request, SeedQuery)
    live = await request.app[RUNS].of(request.match_info["run"])
    return await live.model.seeds(asked.cursor, asked.limit)


async def show_story(request: web.Request) -> Story:
    """Return everything that the log says about a task, candidate, seed or prompt.

    Raises:
        ProblemError: nothing of this run has that id.
    """
    name = request.match_info["id"]
    live = await request.app[RUNS].of(request.match_info["run"])
    story = await live.model.story(name)
    if story is None:
        raise ProblemError(
            HTTPStatus.NOT_FOUND, f"run {live.name!r} has no task, candidate, seed or prompt {name[:200]!r}"
        )
    return story
