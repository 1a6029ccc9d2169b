"""The compiled library: it must be there, and be built from the sources beside it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from service.selfinstruct.similarity import library

ROOT = Path(__file__).parents[2]
ASK = "from service.selfinstruct.similarity import SimilarityIndex; SimilarityIndex(0.7)"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "service", tmp_path / "service", ignore=shutil.ignore_patterns("__pycache__", "*.jsonl"))
    return tmp_path


def asked(tree: Path) -> str:
    """Return the last line that a process which makes an index writes to standard error."""
    done = subprocess.run([sys.executable, "-c", ASK], cwd=tree, capture_output=True, text=True, check=False)
    return done.stderr.strip().rpartition("\n")[2]


def test_a_missing_library_is_an_error_that_says_how_to_build_it(tree: Path) -> None:
    (tree / "service/selfinstruct/similarity/kernel.so").unlink()
    assert "KernelError: expected the compiled similarity index, got" in asked(tree)
    assert "python build_kernel.py" in asked(tree)


def test_a_library_of_other_sources_is_an_error(tree: Path) -> None:
    assert asked(tree) == ""
    with (tree / "service/selfinstruct/similarity/kernel/kernel.h").open("a") as header:
        header.write("/* a change */\n")
    assert "compiled from sources" in asked(tree)


def test_a_library_without_its_sources_is_used(tree: Path) -> None:
    shutil.rmtree(tree / "service/selfinstruct/similarity/kernel")
    assert asked(tree) == ""


def test_each_function_has_one_signature() -> None:
    loaded = library.library()
    assert loaded is library.library()
    assert loaded.index_nearest.argtypes[0] is loaded.index_add.argtypes[0]
