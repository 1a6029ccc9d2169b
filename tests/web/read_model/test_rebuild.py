"""A read model that was stopped, killed or spoiled has the rows of one that was filled in one go."""

import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from structlog.testing import capture_logs

from service.adapters.sqlite import SqliteBroker
from service.errors import ReadModelError
from service.web.read_model import ReadModel
from service.web.read_model.answers import TaskFilter
from tests.conftest import OpenBroker
from tests.support.damage import flip_bytes
from tests.support.examples import definition, finished
from tests.support.logs import DEADLINE_S, create, send
from tests.web.read_model.run_log import following, write_run
from tests.web.read_model.tables import content_of

pytestmark = pytest.mark.anyio


async def filled(open_broker: OpenBroker, file: Path) -> None:
    async with open_broker() as broker, following(broker, file):
        pass


def change(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(statement)


async def test_a_model_that_goes_on_equals_a_whole_one(open_broker: OpenBroker, tmp_path: Path) -> None:
    part, whole = tmp_path / "part.sqlite3", tmp_path / "whole.sqlite3"
    rng = random.Random(7)
    async with open_broker() as broker:
        await write_run(broker, 700)
        for _ in range(4):
            async with ReadModel.open(broker, "r", part) as model, anyio.create_task_group() as tasks:
                tasks.start_soon(model.follow)
                with anyio.move_on_after(2.0):
                    seen = model.news.revision
                    for _ in range(rng.randrange(1, 4)):
                        seen = await model.news.wait(seen)
                tasks.cancel_scope.cancel()
        async with following(broker, part), following(broker, whole):
            found = await to_thread.run_sync(content_of, part)
            assert found == await to_thread.run_sync(content_of, whole)
            assert len(found["tasks"]) == 700


@pytest.mark.parametrize("statement", ["PRAGMA user_version = 999", "UPDATE facts SET value = 'x'", "DROP TABLE pool"])
async def test_a_file_that_does_not_fit_is_made_again(statement: str, open_broker: OpenBroker, tmp_path: Path) -> None:
    file = tmp_path / "web.sqlite3"
    async with open_broker() as broker:
        await write_run(broker, 10)
    await filled(open_broker, file)
    before = await to_thread.run_sync(content_of, file)
    await to_thread.run_sync(change, file, statement)
    await filled(open_broker, file)
    assert await to_thread.run_sync(content_of, file) == before


async def test_a_file_of_another_run_is_made_again(tmp_path: Path) -> None:
    file = tmp_path / "web.sqlite3"
    for run in ("one", "two"):
        async with SqliteBroker.open(tmp_path / f"{run}.sqlite3") as broker:
            await write_run(broker, {"one": 30, "two": 8}[run], run)
            async with following(broker, file, run) as model:
                assert await model.last_row() == {"one": 30, "two": 8}[run]


async def test_a_file_of_another_log_is_made_again(tmp_path: Path) -> None:
    file, log = tmp_path / "web.sqlite3", tmp_path / "log.sqlite3"
    for tasks in (10, 30):
        async with SqliteBroker.open(log) as broker:
            await write_run(broker, tasks)
            async with following(broker, file) as model:
                assert await model.last_row() == tasks
        await anyio.Path(log).unlink()


@pytest.mark.parametrize("seed", range(4))
async def test_a_damaged_file_does_no_harm(seed: int, open_broker: OpenBroker, tmp_path: Path) -> None:
    file = tmp_path / "web.sqlite3"
    async with open_broker() as broker:
        await write_run(broker, 50)
    await filled(open_broker, file)
    await to_thread.run_sync(flip_bytes, file, 2_000, seed)
    async with open_broker() as broker, following(broker, file) as model:
        assert (await model.tasks(TaskFilter(text="a"))).total >= 0
        assert await model.last_row() == 50


@pytest.mark.parametrize("content", [b"", b"no database", b"x" * 100_000])
async def test_a_file_that_is_no_database(content: bytes, open_broker: OpenBroker, tmp_path: Path) -> None:
    file = tmp_path / "web.sqlite3"
    await anyio.Path(file).write_bytes(content)
    async with open_broker() as broker:
        await write_run(broker, 4)
        async with following(broker, file) as model:
            assert await model.last_row() == 4


async def test_damage_while_it_is_open_is_repaired(open_broker: OpenBroker, tmp_path: Path) -> None:
    file = tmp_path / "web.sqlite3"
    async with open_broker() as broker:
        await write_run(broker, 200)
        async with following(broker, file) as model:
            before = await model.tasks(TaskFilter())
            await to_thread.run_sync(spoil, file)
            with anyio.fail_after(DEADLINE_S):
                while model.generation == 0:
                    try:
                        await model.tasks(TaskFilter(text="a"))
                        await send(broker, finished(1))
                    except ReadModelError:
                        continue
                revision = model.news.revision
                while await model.last_row() < before.total:
                    revision = await model.news.wait(revision)
            page = await model.tasks(TaskFilter())
            assert page.total >= before.total


def spoil(file: Path) -> None:
    """Overwrite the file below the write-ahead log, which is emptied first."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with file.open("r+b") as opened:
        opened.seek(4_096)
        opened.write(b"\xff" * (file.stat().st_size - 4_096))


async def test_two_models_on_one_file(open_broker: OpenBroker, tmp_path: Path) -> None:
    file = tmp_path / "web.sqlite3"
    async with open_broker() as broker:
        await write_run(broker, 10)
        with capture_logs() as logs:
            async with following(broker, file) as one, following(broker, file) as other:
                assert await one.rows(0, 20) == await other.rows(0, 20)
        assert [entry["event"] for entry in logs if entry["event"] == "read_model.temporary"]


async def test_a_folder_that_cannot_be_made(open_broker: OpenBroker, tmp_path: Path) -> None:
    await anyio.Path(tmp_path / "file").write_text("in the way")
    async with open_broker() as broker:
        await write_run(broker, 4)
        async with following(broker, tmp_path / "file" / "web.sqlite3") as model:
            assert await model.last_row() == 4


async def test_a_run_that_is_not_defined_yet(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with following(broker, None) as model:
            assert (await model.tasks(TaskFilter())).total == 0
            seen = model.news.revision
            await send(broker, definition(0), finished(0))
            while await model.last_row() == 0:
                seen = await model.news.wait(seen)


_FILL = """
import sys
from pathlib import Path
import anyio
from service.adapters.sqlite import SqliteBroker
from service.web.read_model import ReadModel

async def fill():
    async with SqliteBroker.open(Path(sys.argv[1]), read_only=True) as broker:
        async with ReadModel.open(broker, "r", Path(sys.argv[2])) as model, anyio.create_task_group() as tasks:
            tasks.start_soon(model.follow)
            for revision in range(int(sys.argv[3])):
                await model.news.wait(revision)
            print("filling", flush=True)
            await anyio.sleep_forever()

anyio.run(fill)
"""


@pytest.mark.kill
@pytest.mark.parametrize("batches", [1, 2, 3])
async def test_a_killed_model_goes_on(batches: int, open_broker: OpenBroker, tmp_path: Path) -> None:
    file, whole = tmp_path / "web.sqlite3", tmp_path / "whole.sqlite3"
    async with open_broker() as broker:
        await write_run(broker, 700)

    def fill_and_kill() -> None:
        command = [sys.executable, "-c", _FILL, str(tmp_path / "run.sqlite3"), str(file), str(batches)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"filling\n"
            process.kill()

    await to_thread.run_sync(fill_and_kill)
    await filled(open_broker, file)
    await filled(open_broker, whole)
    found = await to_thread.run_sync(content_of, file)
    assert found == await to_thread.run_sync(content_of, whole)
