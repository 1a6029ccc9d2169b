"""The REST API of a live service, as typed calls."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Self

from msgspec import Struct

from service.client.http.answers import (
    DecisionPage,
    Goal,
    GoalChange,
    NewSeed,
    RunEntry,
    RunState,
    Seed,
    SeedOutcome,
    SeedPage,
    Verdict,
)
from service.client.http.connection import Connection
from service.client.http.tasks import HttpTasks, StreamOptions

_RUNS = "runs"
_PAGE = 100
_FOLLOWS_ALL = StreamOptions()


class _RunList(Struct, frozen=True):
    runs: list[RunEntry]


class LiveService:
    """A live service. Every call raises `ServiceError` if the service refuses it or cannot be reached."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, token: str | None = None) -> AsyncIterator[Self]:
        """Open a session with a service; no request is made yet.

        Raises:
            ConfigurationError: the URL is not one of a service.
        """
        async with Connection.open(url, token) as connection:
            yield cls(connection)

    async def runs(self) -> list[RunEntry]:
        """Return the runs of the log."""
        return (await self._connection.ask(_RunList, "GET", _RUNS)).runs

    async def state(self, run: str) -> RunState:
        """Return the state of a run."""
        return await self._connection.ask(RunState, "GET", _RUNS, run)

    async def goal(self, run: str) -> Goal:
        """Return the goal of a run."""
        return await self._connection.ask(Goal, "GET", _RUNS, run, "goal")

    async def change_goal(self, run: str, change: GoalChange) -> Goal:
        """Change the goal of a run, and return the new one. The token needs the scope steer."""
        return await self._connection.ask(Goal, "PATCH", _RUNS, run, "goal", body=change)

    async def add_seed(self, run: str, seed: NewSeed) -> SeedOutcome:
        """Submit a seed task to a run. The token needs the scope steer."""
        return await self._connection.ask(SeedOutcome, "POST", _RUNS, run, "seeds", body=seed)

    async def seed_page(self, run: str, cursor: int | str | None = None, limit: int = _PAGE) -> SeedPage:
        """Return a page of the seed tasks of a run."""
        return await self._connection.ask(SeedPage, "GET", _RUNS, run, "seeds", query=_page(cursor, limit))

    async def seeds(self, run: str) -> AsyncIterator[Seed]:
        """Yield all seed tasks of a run, page by page."""
        page = await self.seed_page(run)
        while True:
            for seed in page.seeds:
                yield seed
            if page.next is None:
                return
            page = await self.seed_page(run, page.next)

    async def decision_page(
        self, run: str, reason: str | None = None, cursor: int | str | None = None, limit: int = _PAGE
    ) -> DecisionPage:
        """Return a page of the verdicts of a run; with `reason`, of candidates that were rejected for it."""
        query = _page(cursor, limit) | ({} if reason is None else {"reason": reason})
        return await self._connection.ask(DecisionPage, "GET", _RUNS, run, "decisions", query=query)

    async def decisions(self, run: str, reason: str | None = None) -> AsyncIterator[Verdict]:
        """Yield all verdicts of a run, page by page."""
        page = await self.decision_page(run, reason)
        while True:
            for verdict in page.verdicts:
                yield verdict
            if page.next is None:
                return
            page = await self.decision_page(run, reason, page.next)

    def tasks(self, run: str, options: StreamOptions = _FOLLOWS_ALL) -> AbstractAsyncContextManager[HttpTasks]:
        """Open the stream of a run's finished tasks."""
        return HttpTasks.of(self._connection, run, options)


def _page(cursor: int | str | None, limit: int) -> dict[str, str]:
    return {"limit": str(limit)} | ({} if cursor is None else {"cursor": str(cursor)})
