"""Opens the embedded log of a run, after a check that the file is that run's."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from service.adapters.sqlite import SqliteBroker
from service.errors import ConfigurationError
from service.messaging.topics import run_of
from service.settings import Settings


@asynccontextmanager
async def open_embedded(
    settings: Settings, *, read_only: bool = False, keep_empty: bool = True
) -> AsyncIterator[SqliteBroker]:
    """Open the SQLite file of a run as `SqliteBroker.open` does.

    Raises:
        ConfigurationError: the file holds another run.
    """
    async with SqliteBroker.open(settings.sqlite_file, read_only=read_only, keep_empty=keep_empty) as broker:
        refuse_other_runs(settings, await broker.topic_names())
        yield broker


def refuse_other_runs(settings: Settings, topics: Iterable[str]) -> None:
    """Raise `ConfigurationError` if the topics in the file are those of other runs: it was renamed, copied or linked.

    A second run would begin in it otherwise, since the names of topics contain that of their run.
    """
    found = runs_in(topics)
    if found and settings.run not in found:
        raise ConfigurationError(
            f"{settings.sqlite_file} holds run {' and '.join(map(repr, found))}, not {settings.run!r}; the file, or "
            f"the link to it, must be named {found[0]}.sqlite3 (in another folder, if there is such a file), or "
            f"`seedstream salvage --run {settings.run} --into NAME` copies the run under another name"
        )


def runs_in(topics: Iterable[str]) -> list[str]:
    """Return the names of the runs that topics belong to."""
    return sorted({run for topic in topics if (run := run_of(topic)) is not None})
