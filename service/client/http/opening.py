"""Opens streams of a live service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from service.client.http.live_service import LiveService
from service.client.http.tasks import ALL_TASKS, HttpTasks, StreamOptions, TaskFilter


@asynccontextmanager
async def open_tasks_http(
    url: str,
    run: str,
    *,
    token: str | None = None,
    start: str | datetime = "beginning",
    wanted: TaskFilter = ALL_TASKS,
    until_end: bool = False,
) -> AsyncIterator[HttpTasks]:
    """Open the stream of a run's finished tasks at a live service; `StreamOptions` describes the options.

    `LiveService.tasks` takes all of them.

    Raises:
        ConfigurationError: the URL is not one of a service.
        ServiceError: the service refuses the stream, or could not be reached in time.
    """
    options = StreamOptions(start=start, wanted=wanted, until_end=until_end)
    async with LiveService.open(url, token) as service, service.tasks(run, options) as tasks:
        yield tasks
