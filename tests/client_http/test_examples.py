"""The examples of the HTTP client, on a real service."""

import ast
import json
import sys
from inspect import isawaitable
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.examples import finished, goal
from tests.support.logs import DEADLINE_S, RUN, send
from tests.web.service import served
from tests.web.streams.test_of_a_run import begun, finish

pytestmark = pytest.mark.anyio

_ROOT = Path(__file__).parents[2]


async def follow(url: str, file: Path) -> list[int]:
    """Run the example up to the end of the log, and return the tasks in its file."""
    script = str(_ROOT / "examples/http_stream.py")
    with anyio.fail_after(DEADLINE_S):
        await anyio.run_process(
            [sys.executable, script, url, RUN, str(file), "--until-end"], cwd=_ROOT, env={"PYTHONPATH": str(_ROOT)}
        )
    lines = (await anyio.Path(file).read_text()).splitlines()
    return [json.loads(line)["task"]["task_seq"] for line in lines]


async def test_the_script_writes_each_task_once_after_a_torn_line(tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl"
    async with begun(tmp_path) as broker, served(tmp_path) as service:
        await finish(broker, *range(6))
        assert sorted(await follow(str(service.url), file)) == list(range(6))
        content = await anyio.Path(file).read_bytes()
        await anyio.Path(file).write_bytes(content[:-30])
        await finish(broker, 6)
        assert sorted(await follow(str(service.url), file)) == list(range(7))


async def test_the_cells_of_the_notebook_work(tmp_path: Path) -> None:
    notebook = json.loads(await anyio.Path(_ROOT / "examples/live_tasks.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    async with begun(tmp_path) as broker:
        await send(broker, goal(100))
        await send(broker, *map(finished, range(8)), partition=0)
    names: dict[str, Any] = {}
    async with served(tmp_path) as service:
        for cell in cells:
            with anyio.fail_after(DEADLINE_S):
                await _run(cell, names)
            names |= {"URL": str(service.url), "RUN": RUN}
            if "position" in names and "latest" not in names:
                names["position"] = "0-3"  # nothing comes while the notebook runs
    assert (len(names["tasks"]), len(names["latest"]), names["goal"].paused) == (8, 5, False)


async def _run(cell: str, names: dict[str, Any]) -> None:
    """Run a cell as a notebook does, with `await` outside of functions."""
    code = compile(cell, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)
    if isawaitable(result):
        await result
