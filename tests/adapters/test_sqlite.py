import os
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from service.adapters.sqlite import SqliteBroker
from service.adapters.sqlite.storage import Storage
from service.errors import BrokerError, RunLockedError
from tests.contract.logs import DEADLINE_S, P0, create, send, texts

pytestmark = pytest.mark.anyio


async def test_a_read_only_reader_follows_another_process(tmp_path: Path) -> None:
    file = tmp_path / "log.sqlite3"
    async with SqliteBroker.open(file) as writer:
        await create(writer)
        await send(writer, "a")
        async with SqliteBroker.open(file, read_only=True) as beside, beside.reader([P0]) as reader:
            with anyio.fail_after(DEADLINE_S):
                found = texts(await reader.poll(10, 0.05))
                await send(writer, "b")
                while len(found) < 2:
                    found += texts(await reader.poll(10, 0.05))
        assert found == ["a", "b"]


async def test_a_second_process_cannot_write_a_log_that_is_open(tmp_path: Path) -> None:
    file = tmp_path / "log.sqlite3"
    async with SqliteBroker.open(file):
        with pytest.raises(RunLockedError, match=str(os.getpid())):
            async with SqliteBroker.open(file):
                pass
    async with SqliteBroker.open(file):
        pass


@pytest.fixture
def foreign_file(tmp_path: Path) -> Path:
    file = tmp_path / "log.sqlite3"
    file.write_bytes(b"something else entirely" * 100)
    return file


async def test_a_file_that_is_no_log_is_refused(foreign_file: Path) -> None:
    with pytest.raises(BrokerError, match="expected a run"):
        async with SqliteBroker.open(foreign_file):
            pass


@pytest.fixture
def foreign_database(tmp_path: Path) -> Path:
    file = tmp_path / "log.sqlite3"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE customers (name TEXT)")
    return file


async def test_a_database_of_another_program_is_refused_and_left_alone(foreign_database: Path) -> None:
    with pytest.raises(BrokerError, match="another program"):
        async with SqliteBroker.open(foreign_database):
            pass


def test_the_database_of_another_program_is_unchanged(foreign_database: Path) -> None:
    with pytest.raises(BrokerError):
        Storage(foreign_database, read_only=False)
    with closing(sqlite3.connect(foreign_database)) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("customers",)]
