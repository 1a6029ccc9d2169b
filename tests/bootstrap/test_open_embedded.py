"""A file of the embedded log is opened under the name of the run that it holds, and under no other."""

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from anyio import to_thread
from structlog.testing import capture_logs

from service.bootstrap.open_broker import check_writable, open_log
from service.bootstrap.open_embedded import open_embedded
from service.bootstrap.open_run import open_existing
from service.errors import ConfigurationError, RunNotFoundError
from service.messaging import topics
from service.messaging.broker import Broker, TopicSpec
from service.messaging.topics import run_of
from service.settings import Settings
from tests.support import examples
from tests.support.logs import RUN, create, send

pytestmark = pytest.mark.anyio

_OTHER = "renamed"
_SETTINGS = Settings()


def settings_in(folder: Path, run: str = RUN) -> Settings:
    return _SETTINGS.model_copy(update={"broker": f"sqlite:{folder}", "run": run})


async def write_run(folder: Path) -> Path:
    """Write a run with one prompt, and return its file."""
    settings = settings_in(folder)
    async with open_embedded(settings) as broker:
        await create(broker)
        await send(broker, examples.prompt(0))
    return settings.sqlite_file


def ways_to_open(settings: Settings) -> list[AbstractAsyncContextManager[Broker]]:
    return [open_log(settings), open_existing(settings), open_existing(settings, writable=True)]


@pytest.mark.parametrize("name_again", [shutil.copy, os.symlink])
async def test_a_file_with_another_name_is_refused(tmp_path: Path, name_again: Callable[[Path, Path], object]) -> None:
    file, other = await write_run(tmp_path), settings_in(tmp_path, _OTHER)
    await to_thread.run_sync(name_again, file, other.sqlite_file)
    before = await to_thread.run_sync(file.read_bytes)
    for opened in ways_to_open(other):
        with pytest.raises(ConfigurationError, match=f"holds run '{RUN}', not '{_OTHER}'.* {RUN}.sqlite3 .*--into"):
            async with opened:
                pass
    with pytest.raises(ConfigurationError, match=f"holds run '{RUN}'"):
        await to_thread.run_sync(check_writable, other)
    assert await to_thread.run_sync(other.sqlite_file.read_bytes) == before


async def test_a_file_that_has_this_run_too_is_opened(tmp_path: Path) -> None:
    """Earlier versions have begun second runs inside files."""
    file, other = await write_run(tmp_path), settings_in(tmp_path, _OTHER)
    async with open_embedded(settings_in(tmp_path)) as broker:
        await broker.create_topics(topics.specs(_OTHER, 1))
    await to_thread.run_sync(file.rename, other.sqlite_file)
    for opened in ways_to_open(other):
        async with opened as broker:
            assert await broker.partitions(topics.POOL.of(_OTHER)) == 1


async def test_topics_of_other_programs_do_not_matter(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with open_embedded(settings) as embedded:
        await embedded.create_topics([TopicSpec("seedstream.logs", 1), TopicSpec("books.pool", 1)])
    async with open_log(settings) as broker:
        assert await broker.partitions(topics.POOL.of(RUN)) == 1


@pytest.mark.parametrize("left", [b"", None])
async def test_a_run_that_begins_in_an_empty_file_says_so(tmp_path: Path, left: bytes | None) -> None:
    settings = settings_in(tmp_path)
    with capture_logs() as logs:
        async with open_log(settings) as broker:
            await send(broker, examples.prompt(0))
        async with open_log(settings):
            pass
    assert logs == []
    await to_thread.run_sync(settings.sqlite_file.unlink)
    if left is None:
        async with open_embedded(settings):
            pass
    else:
        await to_thread.run_sync(settings.sqlite_file.write_bytes, left)
    with pytest.raises(RunNotFoundError, match="is empty"):
        async with open_existing(settings):
            pass
    with capture_logs() as logs:
        async with open_log(settings):
            pass
    assert [(each["event"], each["file"]) for each in logs] == [("log.was_empty", str(settings.sqlite_file))]


def test_every_topic_of_a_run_tells_its_name() -> None:
    assert {run_of(spec.name) for spec in topics.specs("a-b_1", 1)} == {"a-b_1"}
    assert [run_of(name) for name in ("seedstream.a.other", "seedstream.pool", "x.a.pool", "seedstream..pool")] == (
        [None] * 4
    )
