"""A stage with memory goes on from a checkpoint exactly as it would from the whole log."""

import random
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from anyio import lowlevel, to_thread
from msgspec import structs

from consumers.admit import Admit
from consumers.finish import Finish
from service.checkpoints import Checkpoints, file, writer
from service.messaging import codec, topics
from service.messaging.broker import Broker
from service.messaging.messages import Message
from service.runtime.transactional_worker import TransactionalWorker
from service.selfinstruct.recipe import SELF_INSTRUCT
from tests.conftest import OpenBroker
from tests.runtime.test_transactional_worker import one_by_one, outcomes, random_stream
from tests.support import examples
from tests.support.logs import RUN, Committing, create, drained_after, follow, killed_after, read, send, work_off, write

pytestmark = pytest.mark.anyio


class Counted(Finish):
    """Counts the results that it is given to remember."""

    def __init__(self) -> None:
        super().__init__(RUN, lambda: 1_000)
        self.restored = 0

    def restore(self, message: Message) -> None:
        self.restored += 1
        super().restore(message)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "r.state"


@asynccontextmanager
async def instances(open_broker: OpenBroker, *names: str) -> AsyncIterator[Broker]:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *map(examples.task_instances, names))
        yield broker


async def finish(broker: Broker, folder: Path) -> tuple[int, list[tuple[int, str]]]:
    """Finish what there is; return the number of results that were remembered, and all finished tasks."""
    stage = Counted()
    await work_off(TransactionalWorker(stage, broker, RUN, checkpoints=Checkpoints(folder)))
    tasks = await read(broker, topics.TASKS)
    return stage.restored, [(task.task_seq, task.id) for task in tasks]


EXPECTED = [(0, "p0.0"), (1, "p0.1"), (2, "other"), (3, "p7.0")]


async def test_only_results_behind_the_checkpoint_are_read(open_broker: OpenBroker, folder: Path) -> None:
    async with instances(open_broker, "p0.0", "p0.1", "other") as broker:
        assert await finish(broker, folder) == (3, EXPECTED[:3])
    async with open_broker() as broker:
        await send(broker, *map(examples.task_instances, ("p0.1", "other", "p7.0")))
        assert await finish(broker, folder) == (1, EXPECTED)
    async with open_broker() as broker:
        assert await finish(broker, folder) == (0, EXPECTED)


async def test_a_checkpoint_of_earlier_results_is_completed(open_broker: OpenBroker, folder: Path) -> None:
    async with instances(open_broker, "p0.0", "p0.1") as broker:
        await finish(broker, folder)
        await to_thread.run_sync(shutil.copytree, folder, folder.with_name("earlier"))
        await send(broker, examples.task_instances("other"))
        await finish(broker, folder)
        await send(broker, *map(examples.task_instances, ("p0.0", "other", "p7.0")))
        assert await finish(broker, folder.with_name("earlier")) == (2, EXPECTED)


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def of_another_version(path: Path) -> None:
    facts, state = file.read(path)
    file.write(path, facts | {"version of Seedstream": "9.9.9"}, state)


def unfinished(path: Path) -> None:
    """Leave what a process leaves that was killed before its first checkpoint was whole."""
    path.with_name(f"{path.name}.1-aa.tmp").write_bytes(path.read_bytes()[:50])
    path.unlink()


@pytest.mark.parametrize("harm", [torn, flipped, of_another_version, unfinished])
async def test_a_checkpoint_that_does_not_fit_changes_nothing(
    open_broker: OpenBroker, folder: Path, harm: Callable[[Path], None]
) -> None:
    async with instances(open_broker, "p0.0", "p0.1", "other") as broker:
        await finish(broker, folder)
        await to_thread.run_sync(harm, folder / "finish.checkpoint")
        await send(broker, *map(examples.task_instances, ("p0.1", "p7.0")))
        assert await finish(broker, folder) == (4, EXPECTED)


async def test_a_checkpoint_of_another_run_changes_nothing(open_broker: OpenBroker, tmp_path: Path) -> None:
    async with instances(open_broker, "p0.0", "p0.1", "other") as broker:
        await finish(broker, tmp_path / "state")
    await to_thread.run_sync((tmp_path / "run.sqlite3").unlink)
    async with instances(open_broker, "other", "p5.0", "p0.0", "p0.1") as broker:
        restored, tasks = await finish(broker, tmp_path / "state")
        assert (restored, [name for _, name in tasks]) == (4, ["other", "p5.0", "p0.0", "p0.1"])


async def test_a_checkpoint_from_the_future_changes_nothing(open_broker: OpenBroker, tmp_path: Path) -> None:
    """The log is restored from a backup, and the folder of checkpoints is not."""
    log, backup = tmp_path / "run.sqlite3", tmp_path / "backup.sqlite3"
    async with instances(open_broker, "p0.0") as broker:
        await finish(broker, tmp_path / "old")
    await to_thread.run_sync(shutil.copy, log, backup)
    async with open_broker() as broker:
        await send(broker, *map(examples.task_instances, ("p9.0", "p9.1")))
        await finish(broker, tmp_path / "state")
    await to_thread.run_sync(shutil.copy, backup, log)
    async with open_broker() as broker:
        await send(broker, *map(examples.task_instances, ("p0.1", "other", "p7.0")))
        assert await finish(broker, tmp_path / "state") == (4, EXPECTED)


async def test_results_of_another_writer_end_the_checkpoints(open_broker: OpenBroker, folder: Path) -> None:
    """The next stage must not skip a result that this one does not remember."""
    async with instances(open_broker, "p0.0") as broker:
        stage = Counted()
        async with drained_after(Committing(TransactionalWorker(stage, broker, RUN, checkpoints=Checkpoints(folder)))):
            await follow(broker, topics.TASKS, 1)
            await write(broker, codec.encode(structs.replace(examples.finished(1), id="p0.1"), RUN))
        assert not await to_thread.run_sync((folder / "finish.checkpoint").exists)
        await send(broker, examples.task_instances("other"))
        assert await finish(broker, folder) == (3, EXPECTED[:3])


@pytest.mark.parametrize("seed", range(4))
async def test_admit_goes_on_from_checkpoints_as_from_the_log(
    open_broker: OpenBroker, folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers are drained or killed at random; each of them writes checkpoints as it goes."""
    monkeypatch.setattr(writer, "_RECORDS", 3)
    monkeypatch.setattr(writer, "_PAUSE_S", 0.0)
    rng = random.Random(seed)
    stream = random_stream(rng)
    async with open_broker() as broker:
        await create(broker)
        for begin in range(0, len(stream), 8):
            await send(broker, *stream[begin : begin + 8])
            worker = TransactionalWorker(Admit(SELF_INSTRUCT), broker, RUN, checkpoints=Checkpoints(folder))
            async with rng.choice([drained_after, killed_after])(Committing(worker)):
                for _ in range(rng.randrange(300)):
                    await lowlevel.checkpoint()
        await work_off(TransactionalWorker(Admit(SELF_INSTRUCT), broker, RUN, checkpoints=Checkpoints(folder)))
        assert await outcomes(broker) == await one_by_one(stream)
        assert (await to_thread.run_sync(file.read, folder / "admit.checkpoint"))[0]["fold"] == "admit"
