"""`export` tells of the records that it leaves out, also by its exit code."""

from pathlib import Path

import anyio

from service.adapters.sqlite import SqliteBroker
from service.messaging import topics
from service.messaging.broker import NewRecord
from tests.support import examples
from tests.support.commands import invoke
from tests.support.logs import RUN, create, send, write


async def _fill(file: Path, *records: NewRecord) -> None:
    async with SqliteBroker.open(file) as broker:
        await create(broker)
        await send(broker, examples.finished(0), examples.finished(1))
        await write(broker, *records)


def test_an_export_that_left_records_out_ends_with_1(tmp_path: Path) -> None:
    command = ["export", "--broker", f"sqlite:{tmp_path}", "--run", RUN]
    anyio.run(_fill, tmp_path / f"{RUN}.sqlite3")
    whole = invoke(*command)
    anyio.run(_fill, tmp_path / f"{RUN}.sqlite3", NewRecord(topics.TASKS.of(RUN), b"of another program"))
    partly = invoke(*command)
    assert (whole.exit_code, whole.stdout.count("\n")) == (0, 2)
    assert (partly.exit_code, partly.stdout.count("\n")) == (1, 4)
    assert "1 records could not be read and were left out" in partly.stderr
