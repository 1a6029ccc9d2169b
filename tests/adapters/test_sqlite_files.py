"""The files of a log: its lock, links to it, a folder without write permission, and files that nobody needs."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from service.adapters.sqlite import Storage, lock_path
from service.adapters.sqlite.storage import Write
from service.errors import BrokerError, RunLockedError
from service.messaging.broker import Record
from tests.contract.logs import P0, texts
from tests.support.permissions import reachable_folder, unwritable


@contextmanager
def opened(file: Path, *, read_only: bool = False, keep_empty: bool = True) -> Iterator[Storage]:
    with closing(Storage(file, read_only=read_only, keep_empty=keep_empty)) as storage:
        if not storage.partitions() and not read_only:
            storage.create([P0])
        yield storage


def write(storage: Storage, text: str) -> None:
    offset = storage.partitions()[P0]
    storage.apply([Write(records=[Record(P0, offset, None, text.encode(), (), 0)], ends={P0: offset + 1})])


def read(storage: Storage) -> list[str]:
    return texts(storage.read(P0, 0, storage.partitions()[P0], 100))


def test_a_symbolic_link_to_an_open_log_is_locked(tmp_path: Path) -> None:
    file, link = tmp_path / "log.sqlite3", tmp_path / "elsewhere" / "link.sqlite3"
    link.parent.mkdir()
    link.symlink_to(file)
    with opened(file), pytest.raises(RunLockedError, match=str(os.getpid())):
        Storage(link, read_only=False)
    with opened(link), pytest.raises(RunLockedError, match=str(os.getpid())):
        Storage(file, read_only=False)
    assert lock_path(link) == lock_path(file)


def test_a_log_with_two_hard_links_is_not_written(tmp_path: Path) -> None:
    file, link = tmp_path / "log.sqlite3", tmp_path / "link.sqlite3"
    with opened(file):
        pass
    link.hardlink_to(file)
    for name in (file, link):
        with pytest.raises(BrokerError, match="2 hard links"):
            Storage(name, read_only=False)
    link.unlink()
    with opened(file) as storage:
        write(storage, "a")


@pytest.fixture
def folder() -> Iterator[Path]:
    with reachable_folder() as found:
        yield found


def test_a_closed_log_is_read_in_an_unwritable_folder(folder: Path) -> None:
    file = folder / "log.sqlite3"
    with opened(file) as storage:
        write(storage, "a")
    with unwritable(folder), opened(file, read_only=True) as storage:
        assert read(storage) == ["a"]


def test_an_open_log_is_read_in_an_unwritable_folder(folder: Path) -> None:
    file = folder / "log.sqlite3"
    with opened(file) as writer:
        write(writer, "a")
        with unwritable(folder), opened(file, read_only=True) as storage:
            assert read(storage) == ["a"]


def test_newest_records_out_of_reach_are_an_error(folder: Path) -> None:
    file, copy = folder / "log.sqlite3", folder / "copy.sqlite3"
    with opened(file) as writer:
        write(writer, "a")
        shutil.copy(file, copy)
        shutil.copy(folder / "log.sqlite3-wal", folder / "copy.sqlite3-wal")
    with unwritable(folder), pytest.raises(BrokerError, match=r"newest records are in copy\.sqlite3-wal"):
        Storage(copy, read_only=True)
    with opened(copy, read_only=True) as storage:
        assert read(storage) == ["a"]


def test_a_reader_notices_a_writer_that_begins_out_of_its_reach(folder: Path) -> None:
    file = folder / "log.sqlite3"
    with opened(file) as storage:
        write(storage, "a")
    with unwritable(folder):
        beside = Storage(file, read_only=True)
    with closing(beside), opened(file) as writer:
        write(writer, "b")
        with pytest.raises(BrokerError, match="newest records"):
            beside.partitions()


def test_an_empty_log_that_need_not_be_kept_leaves_no_file(tmp_path: Path) -> None:
    file = tmp_path / "log.sqlite3"
    with opened(file, keep_empty=False):
        assert file.exists()
    assert list(tmp_path.iterdir()) == []
    with opened(file, keep_empty=False) as storage:
        write(storage, "a")
    with opened(file, keep_empty=False) as storage:
        assert read(storage) == ["a"]


def test_an_empty_log_of_an_earlier_opening_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "log.sqlite3"
    with opened(file):
        pass
    with opened(file, keep_empty=False):
        pass
    assert file.exists()


def test_a_lock_file_that_was_there_is_left_alone(tmp_path: Path) -> None:
    lock = tmp_path / "log.lock"
    lock.touch()
    with opened(tmp_path / "log.sqlite3", keep_empty=False):
        pass
    assert list(tmp_path.iterdir()) == [lock]


def test_a_refused_file_gets_no_lock_file(tmp_path: Path) -> None:
    file = tmp_path / "log.sqlite3"
    file.write_bytes(b"something else entirely" * 100)
    with pytest.raises(BrokerError):
        Storage(file, read_only=False)
    assert list(tmp_path.iterdir()) == [file]
