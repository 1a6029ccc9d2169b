"""The file of a checkpoint: whole or refused, whatever happens to it and to its writer."""

import os
import signal
import subprocess
import sys
from array import array
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.checkpoints import State, file
from service.errors import CheckpointUnfitError

STATE = State({"count": 3}, {"costs": [memoryview(array("q", [1, -2])), memoryview(array("q", [3]))], "none": []})
PIECES = st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=9), max_size=3)

WRITER = """
import sys
from array import array
from pathlib import Path
from service.checkpoints import State, file

print("begun", flush=True)
while True:
    for number in (1, 2):
        column = memoryview(array("q", [number]) * 500_000)
        file.write(Path(sys.argv[1]), {"number": number}, State({}, {"column": [column]}))
        print("written", flush=True)
"""


def names_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def numbers(pieces: Sequence[memoryview]) -> list[int]:
    found: list[int] = []
    for piece in pieces:
        found += piece.tolist()
    return found


@given(st.dictionaries(st.text(max_size=5), PIECES, max_size=4), st.dictionaries(st.text(), st.integers(-9, 9)))
def test_a_state_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, columns: dict[str, list[list[int]]], values: dict[str, int]
) -> None:
    path = tmp_path_factory.mktemp("state") / "fold.checkpoint"
    arrays = {name: [memoryview(array("i", piece)) for piece in pieces] for name, pieces in columns.items()}
    file.write(path, {"fact": "é"}, State(values, arrays))
    facts, found = file.read(path)
    assert (facts, found.values) == ({"fact": "é"}, values)
    assert found.arrays.keys() == columns.keys()
    for name, pieces in columns.items():
        assert numbers(found.arrays[name]) == list(chain(*pieces))


def test_an_array_keeps_its_type_and_its_rows(tmp_path: Path) -> None:
    rows = memoryview(array("H", range(6)).tobytes()).cast("H", [2, 3])
    file.write(tmp_path / "file", {}, State({}, {"rows": [rows, rows]}))
    (found,) = file.read(tmp_path / "file")[1].arrays["rows"]
    assert (found.format, found.shape, found.readonly) == ("H", (4, 3), True)
    assert bytes(found) == bytes(rows) * 2


def test_a_file_that_was_replaced_can_still_be_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    file.write(path, {}, STATE)
    found = file.read(path)[1]
    file.write(path, {}, State({}, {"costs": [memoryview(array("q", [7]))]}))
    assert numbers(found.arrays["costs"]) == [1, -2, 3]


@given(st.data())
def test_a_torn_or_changed_file_is_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("state") / "file"
    file.write(path, {}, STATE)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    with pytest.raises(CheckpointUnfitError):
        file.read(path)


def test_another_layout_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    file.write(path, {}, STATE)
    content = bytearray(path.read_bytes())
    content[8] = file.LAYOUT + 1
    path.write_bytes(content)
    with pytest.raises(CheckpointUnfitError, match="expected layout 1"):
        file.read(path)


def test_a_write_that_fails_leaves_the_last_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    file.write(path, {}, STATE)
    with pytest.raises(TypeError):
        file.write(path, {"not": {"JSON"}}, STATE)
    assert file.read(path)[1].values == STATE.values
    assert names_in(tmp_path) == ["file"]


def test_unfinished_files_of_killed_processes_are_removed(tmp_path: Path) -> None:
    old, new = tmp_path / "file.1-a.tmp", tmp_path / "file.2-b.tmp"
    for each in (old, new):
        each.write_bytes(b"part")
    os.utime(old, (1, 1))
    file.write(tmp_path / "file", {}, STATE)
    assert names_in(tmp_path) == ["file", "file.2-b.tmp"]


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for letters in range(0, 60, 7):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        with writer:
            writer.stdout.read(len("begun\nwritten\n") + letters)
            writer.send_signal(signal.SIGKILL)
        facts, found = file.read(path)
        assert set(numbers(found.arrays["column"])) == {facts["number"]}
