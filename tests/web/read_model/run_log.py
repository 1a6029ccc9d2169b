"""A run as its topics hold it, for tests of the read model, and the read model over it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from benchmarks.grown_log import new_run, write_log
from service.messaging.broker import Broker
from service.web.read_model import ReadModel
from tests.support.logs import DEADLINE_S, RUN


async def write_run(broker: Broker, tasks: int, run: str = RUN) -> None:
    """Write a run with this number of finished tasks."""
    new = await anyio.to_thread.run_sync(new_run, run)
    await write_log(broker, new, tasks)


@asynccontextmanager
async def following(broker: Broker, file: Path | None, run: str = RUN) -> AsyncIterator[ReadModel]:
    """Open a read model and let it follow the log; the block begins when it has caught up."""
    with anyio.fail_after(DEADLINE_S):
        async with ReadModel.open(broker, run, file) as model, anyio.create_task_group() as tasks:
            tasks.start_soon(model.follow)
            await model.caught_up.wait()
            yield model
            tasks.cancel_scope.cancel()
