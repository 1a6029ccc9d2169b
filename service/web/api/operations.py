"""The operations of the REST API."""

from http import HTTPStatus

from service.web.api import charts, goal, listings, new_run, progress, runs, seeds, session
from service.web.api.operation import Operation
from service.web.api.run_answers import RunFacts, RunList
from service.web.read_model.answers import DecisionPage, SeedPage, Story
from service.web.webhooks.state import WebhookStates, list_webhooks

_RUN = "/v1/runs/{run}"
_NO_RUN = (HTTPStatus.NOT_FOUND,)
_STEERING = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)

OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/session",
        name="showSession",
        summary="Who makes the request, and what it may do",
        handler=session.show_session,
        answer=session.Session,
    ),
    Operation(
        method="GET",
        path="/v1/runs",
        name="listRuns",
        summary="The runs of the log",
        handler=runs.list_runs,
        answer=RunList,
    ),
    Operation(
        method="POST",
        path="/v1/runs",
        name="defineRun",
        summary="Define a run; a command works on it",
        handler=new_run.define_run,
        answer=new_run.DefinedRun,
        status=HTTPStatus.CREATED,
        body=(new_run.NewRun,),
        problems=(HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY),
    ),
    Operation(
        method="GET",
        path=_RUN,
        name="showRun",
        summary="The state of a run",
        handler=runs.show_run,
        answer=RunFacts,
        problems=_NO_RUN,
    ),
    Operation(
        method="GET",
        path=f"{_RUN}/progress",
        name="followRun",
        summary="The state of a run as events named `progress`, at most one a second",
        handler=progress.follow_progress,
        answer=RunFacts,
        media=progress.EVENTS,
        problems=(*_NO_RUN, HTTPStatus.TOO_MANY_REQUESTS),
    ),
    Operation(
        method="GET",
        path=f"{_RUN}/goal",
        name="showGoal",
        summary="The target and the limits of a run",
        handler=goal.show_goal,
        answer=goal.Goal,
        problems=(*_NO_RUN, HTTPStatus.CONFLICT),
    ),
    Operation(
        method="PATCH",
        path=f"{_RUN}/goal",
        name="changeGoal",
        summary="Change the target or limits of a run, pause it, or let it go on",
        handler=goal.change_goal,
        answer=goal.Goal,
        body=(goal.GoalChange,),
        problems=_STEERING,
    ),
    Operation(
        method="POST",
        path=f"{_RUN}/seeds",
        name="addSeed",
        summary="Submit a seed task; it joins the pool once admit has judged it",
        handler=seeds.add_seed,
        answer=seeds.SeedOutcome,
        status=HTTPStatus.ACCEPTED,
        body=(seeds.NewSeed,),
        problems=_STEERING,
    ),
    Operation(
        method="GET",
        path=f"{_RUN}/seeds",
        name="listSeeds",
        summary="The seed tasks of the pool, and what came of them",
        handler=listings.list_seeds,
        answer=SeedPage,
        query=listings.SeedQuery,
        problems=_NO_RUN,
    ),
    Operation(
        method="GET",
        path=f"{_RUN}/decisions",
        name="listDecisions",
        summary="The verdicts on candidates, the latest first",
        handler=listings.list_decisions,
        answer=DecisionPage,
        query=listings.DecisionQuery,
        problems=_NO_RUN,
    ),
    Operation(
        method="GET",
        path=f"{_RUN}/tasks/{{id}}",
        name="showTask",
        summary="Everything that the log says about a task, candidate, seed or prompt",
        handler=listings.show_story,
        answer=Story,
        problems=_NO_RUN,
    ),
    Operation(
        method="GET",
        path=f"{_RUN}/charts/{{name}}",
        name="showChart",
        summary="The values of a chart",
        handler=charts.show_chart,
        answer=charts.CHARTS,
        query=charts.ChartQuery,
        problems=_NO_RUN,
    ),
    Operation(
        method="GET",
        path=f"{_RUN}/webhooks",
        name="listWebhooks",
        summary="The webhooks to which this process delivers the tasks of a run",
        handler=list_webhooks,
        answer=WebhookStates,
        problems=_NO_RUN,
    ),
)

# The package of streams answers this one, as the client prefers.
_TASKS = Operation(
    method="GET",
    path=f"{_RUN}/tasks",
    name="listTasks",
    summary="The finished tasks of a run: a page, or a stream as events or JSON Lines",
    handler=listings.answer_page,
    answer=listings.TaskPage,
    query=listings.TaskQuery,
    problems=(*_NO_RUN, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.TOO_MANY_REQUESTS),
    streams=("text/event-stream", "application/x-ndjson"),
)
DESCRIBED = (*OPERATIONS, _TASKS)
