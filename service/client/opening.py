"""Opens the stream of the run that the settings name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio import to_thread

from service.bootstrap.open_run import open_existing
from service.client.membership import keep_membership, until_closed
from service.client.subscription import Start, Subscription
from service.client.tasks import Sharing, Tasks, served, share_of
from service.client.window import Window
from service.settings import Settings, load_settings


@asynccontextmanager
async def open_tasks(
    broker: str | None = None,
    run: str | None = None,
    *,
    start: Start | None = None,
    group: str | None = None,
    until_end: bool = False,
    auto_commit: bool = False,
) -> AsyncIterator[Tasks]:
    """Open the stream of a run's finished tasks; `Subscription` describes the options.

    `broker` and `run` override the settings (`SEEDSTREAM_*`, `seedstream.toml`), which also hold the credentials. A
    group's membership has a thread and an event loop of its own, so the consumer may block its loop.

    Raises:
        ConfigurationError: an option is invalid; `RunNotFoundError` if the run does not exist.
        BrokerError: the log cannot be reached; `RunLockedError` if a group is set and another process has the SQLite
            log open.
    """
    subscription = Subscription(start, group, until_end, auto_commit)
    settings = await to_thread.run_sync(load_settings, {"broker": broker, "run": run})
    opened = open_stream if subscription.group is None else _open_on_thread
    async with opened(settings, subscription) as tasks:
        yield tasks


@asynccontextmanager
async def open_stream(settings: Settings, subscription: Subscription) -> AsyncIterator[Tasks]:
    """Open the stream of the run that the settings name, under a subscription, on this event loop."""
    async with (
        open_existing(settings, writable=subscription.group is not None) as broker,
        Tasks.of(broker, settings.run, subscription) as tasks,
    ):
        yield tasks


@asynccontextmanager
async def _open_on_thread(settings: Settings, subscription: Subscription) -> AsyncIterator[Tasks]:
    """Open the share of a group's member whose broker and membership have a thread of their own."""
    window, share = Window(), share_of(settings.run, subscription)

    async def work() -> None:
        async with open_existing(settings, writable=True) as broker:
            await keep_membership(broker, share, window)

    async def serve() -> None:
        await to_thread.run_sync(anyio.run, until_closed, window, work, limiter=anyio.CapacityLimiter(1))

    async with served(window, serve):
        with Tasks.over(Sharing(window), until_end=subscription.until_end) as tasks:
            yield tasks
