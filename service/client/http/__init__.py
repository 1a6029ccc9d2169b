"""A client of a live service, for programs that have no access to its log.

    from service.client.http import open_tasks_http

    async with open_tasks_http("http://localhost:8080", "default", start="now") as tasks:
        async for task in tasks:
            print(task.instruction, tasks.position)

A stream survives restarts of the service and cut connections: it connects again and goes on behind the last task that
came, so that every task is given once. A program that keeps `tasks.position` with its own results can start there.
`LiveService` has the other calls, and streams on the same connections.
"""

from service.client.http.answers import (
    DecisionPage,
    Goal,
    GoalChange,
    NewSeed,
    Pace,
    RunEntry,
    RunState,
    Seed,
    SeedOutcome,
    SeedPage,
    Verdict,
)
from service.client.http.connection import ServiceError
from service.client.http.live_service import LiveService
from service.client.http.opening import open_tasks_http
from service.client.http.tasks import HttpTasks, StreamOptions, TaskFilter
from service.messaging.messages import FinishedTask

__all__ = [
    "DecisionPage",
    "FinishedTask",
    "Goal",
    "GoalChange",
    "HttpTasks",
    "LiveService",
    "NewSeed",
    "Pace",
    "RunEntry",
    "RunState",
    "Seed",
    "SeedOutcome",
    "SeedPage",
    "ServiceError",
    "StreamOptions",
    "TaskFilter",
    "Verdict",
    "open_tasks_http",
]
