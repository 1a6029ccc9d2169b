"""A new run reads each of its files once. The opened files are counted in a process of its own."""

import shutil
import subprocess
import sys
from collections import Counter
from importlib import resources
from pathlib import Path

import pytest

from service.run.definition import AskedRun
from service.selfinstruct.recipe import Form
from service.selfinstruct.templates import names_of
from service.settings import load_settings

_ROOT = Path(__file__).parents[2]
_RESOURCES = Path(str(resources.files("service"))) / "resources"
_OWN = ("classification", "json_classification")
_DEADLINE_S = 60.0
# An audit hook cannot be removed, and it sees every call of `open`.
_COUNTING = """
import sys

def tell(event, arguments):
    if event == "open":
        print("opened", arguments[0], file=sys.stderr)

from service.__main__ import main
sys.addaudithook(tell)
main()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with seeds, and with one template of each form."""
    shutil.copy(_RESOURCES / "seed_tasks.jsonl", tmp_path / "seeds.jsonl")
    (tmp_path / "mine").mkdir()
    for name in _OWN:
        shutil.copy(_RESOURCES / "templates" / f"{name}.txt", tmp_path / "mine")
    return tmp_path


def opened_by_a_run(folder: Path, *flags: str) -> Counter[str]:
    """Run to a target of one task. Return how often each seed file and template was opened."""
    ended = subprocess.run(
        [sys.executable, "-c", _COUNTING, "run", "--lm", "simulator", "--target", "1", *flags],
        cwd=folder,
        env={"HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        timeout=_DEADLINE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    paths = [Path(line.removeprefix("opened ")) for line in ended.stderr.splitlines() if line.startswith("opened ")]
    folders = (Path(), Path("mine"), _RESOURCES, _RESOURCES / "templates")
    return Counter(str(path) for path in paths if path.parent in folders and path.suffix in {".jsonl", ".txt"})


def templates_of(*forms: Form) -> list[str]:
    return [str(_RESOURCES / "templates" / f"{name}.txt") for form in forms for name in names_of(form)]


def test_a_new_run_reads_each_of_its_files_once(folder: Path) -> None:
    opened = opened_by_a_run(folder, "--seeds", "seeds.jsonl", "--templates", "mine")
    assert opened == Counter(["seeds.jsonl", "mine/classification.txt", *templates_of(Form.TEXT)])


def test_a_new_run_on_an_old_log_reads_each_file_once(folder: Path) -> None:
    """Before such a log is opened, the form of the run is unknown: the templates of both forms are checked."""
    (folder / "runs").mkdir()
    (folder / "runs" / "default.sqlite3").touch()
    opened = opened_by_a_run(folder, "--seeds", "seeds.jsonl", "--templates", "mine")
    assert opened == Counter(["seeds.jsonl", *(f"mine/{name}.txt" for name in _OWN), *templates_of(*Form)])


def test_a_new_run_reads_the_built_in_files_once(folder: Path) -> None:
    assert opened_by_a_run(folder) == Counter([str(_RESOURCES / "seed_tasks.jsonl"), *templates_of(Form.TEXT)])


@pytest.mark.usefixtures("no_settings")
def test_a_run_is_defined_once() -> None:
    asked = AskedRun(load_settings({}))
    assert asked.new is asked.new
    assert asked.seeds is asked.seeds
    assert asked.new.seeds == asked.seeds
