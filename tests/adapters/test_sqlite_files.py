"""The files of a log: its lock, links to it, a folder without write permission, and files that nobody needs."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from service.adapters.sqlite import Storage, lock_path
from service.adapters.sqlite.storage import Write
from service.errors import BrokerError, DamagedLogError, RunLockedError, RunNotFoundError
from service.messaging.broker import Record
from tests.contract.logs import P0, texts
from tests.support.permissions import not_root, reachable_folder, unwritable


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


def test_the_lock_file_of_a_closed_log_names_no_process(tmp_path: Path) -> None:
    file = tmp_path / "log.sqlite3"
    with opened(file):
        assert lock_path(file).read_text() == f"{os.getpid()}\n"
    assert lock_path(file).read_text() == ""


def test_an_empty_file_holds_no_run(tmp_path: Path) -> None:
    file = tmp_path / "log.sqlite3"
    file.touch()
    with pytest.raises(RunNotFoundError, match=r"log\.sqlite3 is empty"):
        Storage(file, read_only=True)
    with opened(file) as storage:
        assert read(storage) == []


@pytest.mark.parametrize("read_only", [True, False])
def test_an_empty_file_beside_newer_records_is_damaged(tmp_path: Path, read_only: bool) -> None:  # noqa: FBT001
    """SQLite would delete the records."""
    file, log = tmp_path / "log.sqlite3", tmp_path / "log.sqlite3-wal"
    with opened(file) as storage:
        write(storage, "a")
        content = log.read_bytes()
    file.write_bytes(b"")
    log.write_bytes(content)
    with pytest.raises(DamagedLogError, match=r"salvage --run log .*log\.sqlite3-wal"):
        Storage(file, read_only=read_only)
    assert log.read_bytes() == content


@pytest.mark.parametrize("read_only", [True, False])
def test_records_without_topics_are_damage(tmp_path: Path, read_only: bool) -> None:  # noqa: FBT001
    file = tmp_path / "log.sqlite3"
    with opened(file) as storage:
        write(storage, "a")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM partitions")
    with (
        closing(Storage(file, read_only=read_only)) as storage,
        pytest.raises(DamagedLogError, match="expected the topics"),
    ):
        storage.partitions()


@pytest.mark.parametrize("content", [b"some text\n" * 1_000, bytes(8_192)])
def test_the_error_of_a_lost_first_page_names_the_command(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "log.sqlite3"
    file.write_bytes(content)
    for read_only in (True, False):
        with pytest.raises(BrokerError, match=r"log\.sqlite3: .*`seedstream salvage --run log --into NAME`"):
            Storage(file, read_only=read_only)


def test_a_file_that_may_not_be_read_is_named_with_the_cause(folder: Path) -> None:
    file = folder / "log.sqlite3"
    with opened(file):
        pass
    file.chmod(0)
    with not_root(), pytest.raises(BrokerError, match=r"log\.sqlite3: .*: Permission denied"):
        Storage(file, read_only=True)
