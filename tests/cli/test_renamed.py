"""The file of a run under another name: every command says so, and nothing is written into it."""

import shutil
from pathlib import Path

import anyio
import pytest

from service.adapters.sqlite import SqliteBroker
from service.errors import ConfigurationError
from tests.support import examples
from tests.support.commands import invoke
from tests.support.logs import RUN, create, send

_COMMANDS = (
    ("run", "--lm", "simulator", "--target", "50"),
    ("goal", "--target", "50"),
    ("status",),
    ("cost",),
    ("explain", "p0"),
    ("export",),
    ("neighbours",),
    ("replay",),
    ("refilter", "--threshold", "0.6"),
)


async def write_run(file: Path) -> None:
    async with SqliteBroker.open(file) as broker:
        await create(broker)
        await send(broker, examples.finished(0))


@pytest.mark.usefixtures("no_settings")
@pytest.mark.parametrize("command", _COMMANDS)
def test_commands_refuse_a_file_under_another_name(tmp_path: Path, command: tuple[str, ...]) -> None:
    file, renamed = tmp_path / f"{RUN}.sqlite3", tmp_path / "renamed.sqlite3"
    anyio.run(write_run, file)
    shutil.copy(file, renamed)
    ended = invoke(*command, "--broker", f"sqlite:{tmp_path}", "--run", "renamed")
    assert isinstance(ended.exception, ConfigurationError), ended.exception
    assert f"renamed.sqlite3 holds run '{RUN}', not 'renamed'" in str(ended.exception)
    assert renamed.read_bytes() == file.read_bytes()
