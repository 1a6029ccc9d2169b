"""The run that `salvage` finds in a file, whatever the name of the file."""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from service.adapters.sqlite import SqliteBroker
from service.bootstrap.open_damaged import open_damaged
from service.errors import BrokerError, ConfigurationError, SeedstreamError
from service.messaging import codec, topics
from service.messaging.broker import Broker
from service.settings import Settings
from tests.support import examples
from tests.support.logs import RUN, create, records_of, send, write
from tests.support.permissions import reachable_folder, unwritable

_OTHER = "other"
_SETTINGS = Settings()


async def write_run(broker: Broker) -> None:
    await create(broker)
    await send(broker, examples.prompt(0), examples.finished(0))


async def write_second_run(broker: Broker) -> None:
    await write_run(broker)
    await broker.create_topics(topics.specs(_OTHER, 1))
    await write(broker, codec.encode(examples.prompt(0), _OTHER))


async def write_topics_of_second_run(broker: Broker) -> None:
    await write_run(broker)
    await broker.create_topics(topics.specs(_OTHER, 1))


async def write_topics(broker: Broker) -> None:
    await create(broker)


def log_under(file: Path, content: Callable[[Broker], Awaitable[None]] = write_run) -> None:
    async def fill() -> None:
        async with SqliteBroker.open(file) as broker:
            await content(broker)

    anyio.run(fill)


def salvaged(folder: Path, run: str) -> tuple[str, int]:
    """Salvage a file; return the name of the run in it, and the number of its finished tasks."""

    async def read() -> tuple[str, int]:
        asked, into = (
            _SETTINGS.model_copy(update={"broker": f"sqlite:{folder}", "run": name}) for name in (run, "new")
        )
        async with open_damaged(asked, into) as (source, _, _, found):
            return found, len(await records_of(source, topics.TASKS.of(found)))

    return anyio.run(read)


def refused(folder: Path, run: str) -> SeedstreamError:
    with pytest.raises(SeedstreamError) as raised:
        salvaged(folder, run)
    assert f"{run}.sqlite3" in str(raised.value)
    assert not (folder / "new.sqlite3").exists()
    return raised.value


def test_the_run_in_a_renamed_or_linked_file_is_salvaged(tmp_path: Path) -> None:
    log_under(tmp_path / "renamed.sqlite3")
    (tmp_path / "linked.sqlite3").symlink_to(tmp_path / "renamed.sqlite3")
    assert salvaged(tmp_path, "renamed") == (RUN, 1)
    (tmp_path / "new.sqlite3").unlink()
    assert salvaged(tmp_path, "linked") == (RUN, 1)


def test_the_name_of_a_run_follows_from_its_records_alone(tmp_path: Path) -> None:
    file = tmp_path / "renamed.sqlite3"
    log_under(file)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE partitions SET checksum = checksum + 1")
    assert salvaged(tmp_path, "renamed") == (RUN, 1)


def test_topics_without_records_do_not_name_the_run(tmp_path: Path) -> None:
    log_under(tmp_path / f"{_OTHER}.sqlite3", write_topics_of_second_run)
    assert salvaged(tmp_path, _OTHER) == (RUN, 1)


def test_of_two_runs_the_one_with_the_name_is_salvaged(tmp_path: Path) -> None:
    log_under(tmp_path / f"{_OTHER}.sqlite3", write_second_run)
    (tmp_path / "renamed.sqlite3").symlink_to(tmp_path / f"{_OTHER}.sqlite3")
    assert salvaged(tmp_path, _OTHER) == (_OTHER, 0)
    (tmp_path / "new.sqlite3").unlink()
    error = refused(tmp_path, "renamed")
    assert isinstance(error, ConfigurationError)
    assert f"holds runs '{_OTHER}' and '{RUN}'" in str(error)


def test_a_file_with_nothing_of_a_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.sqlite3").write_text("something else entirely\n" * 1_000)
    (tmp_path / "empty.sqlite3").touch()
    log_under(tmp_path / f"{RUN}.sqlite3", write_topics)
    for run in ("text", "empty", RUN):
        assert isinstance(refused(tmp_path, run), BrokerError)


def test_salvage_says_that_its_folder_is_not_writable() -> None:
    with reachable_folder() as folder:
        log_under(folder / f"{RUN}.sqlite3")
        (folder / f"{RUN}.lock").unlink()
        with unwritable(folder), pytest.raises(BrokerError, match=f"{folder}: expected a folder .*--broker sqlite:"):
            salvaged(folder, RUN)
