"""The first look at a run before it goes on: by its checkpoint, or by the topics that it needs."""

from pathlib import Path

import pytest

from service.adapters.sqlite import SqliteBroker
from service.checkpoints import Checkpoints
from service.errors import DecodeError
from service.messaging import topics
from service.messaging.broker import NewRecord
from service.run.create import define_run
from service.run.definition import AskedRun
from service.run.goals import asked_goal, look
from service.run.progress_reader import ProgressReader
from service.settings import load_settings
from tests.support import examples
from tests.support.logs import send, write

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_settings")]

NEWER = NewRecord(
    topics.TASKS.of("r"),
    b"{}",
    b"m9",
    (("ce_type", b"io.seedstream.task.v1"), ("seedstream_version", b"99.0.0")),
)


def in_folder(folder: Path) -> AskedRun:
    asked = AskedRun(load_settings({"run": "r", "lm": "simulator", "target": 5, "state_dir": folder}))
    _ = asked.new  # reads the seeds
    return asked


@pytest.fixture
def asked(tmp_path: Path) -> AskedRun:
    return in_folder(tmp_path)


@pytest.fixture
def elsewhere(tmp_path: Path) -> AskedRun:
    return in_folder(tmp_path / "elsewhere")


async def begin(broker: SqliteBroker, asked: AskedRun) -> None:
    """Write a run with two finished tasks; leave a checkpoint, and a third one behind it."""
    await broker.create_topics(topics.specs("r", 1))
    definition, seeds = asked.new
    await define_run(broker, definition, asked_goal(None, asked.settings), seeds)
    await send(broker, examples.finished(0), examples.finished(1))
    async with ProgressReader.open(broker, "r", Checkpoints(asked.settings.state_folder)) as reader:
        await reader.catch_up()
        await reader.save()
    await send(broker, examples.finished(2))


async def test_a_checkpoint_makes_no_difference_to_the_look(
    tmp_path: Path, asked: AskedRun, elsewhere: AskedRun
) -> None:
    async with SqliteBroker.open(tmp_path / "r.sqlite3") as broker:
        await begin(broker, asked)
        with_checkpoint = await look(broker, asked)
        without = await look(broker, elsewhere)
    for found in (with_checkpoint, without):
        assert (found.finished, found.target, found.ended) == (3, 5, None)
        assert found.defined == without.defined
        assert found.topic_ids == without.topic_ids


async def test_a_task_of_a_newer_version_is_refused_either_way(
    tmp_path: Path, asked: AskedRun, elsewhere: AskedRun
) -> None:
    async with SqliteBroker.open(tmp_path / "r.sqlite3") as broker:
        await begin(broker, asked)
        await write(broker, NEWER)
        for each in (asked, elsewhere):
            with pytest.raises(DecodeError, match=r"Seedstream 99\.0\.0 wrote this record"):
                await look(broker, each)
