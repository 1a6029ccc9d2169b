"""The lock of a log: one process at a time may write it, by whatever symbolic link it was named."""

import fcntl
import os
from pathlib import Path
from typing import TextIO

from service.errors import BrokerError, RunLockedError


def lock_path(database: Path) -> Path:
    """Return the lock file of a database; symbolic links to one database share it."""
    return database.resolve().with_suffix(".lock")


class Lock:
    """The lock on a database, held until `release`; meanwhile its file holds the id of the process.

    Raises:
        RunLockedError: another process holds the lock.
        BrokerError: the database has hard links.
    """

    def __init__(self, database: Path) -> None:
        _refuse_hard_links(database)
        self._path = lock_path(database)
        self._made = not self._path.exists()
        self._file = _locked(self._path)

    def release(self, *, remove: bool = False) -> None:
        """Release the lock; with `remove`, delete its file first if this process created it."""
        if remove and self._made:
            self._path.unlink(missing_ok=True)
        self._file.truncate(0)
        self._file.close()


def _locked(path: Path) -> TextIO:
    while True:
        lock = path.open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise RunLockedError(
                f"{path.with_suffix('')}: expected to be the only process with this run open, but process {holder} has "
                "it; stop that one first, or use another --run (status, watch, explain, export and web work beside it, "
                "and the page of a run with --web steers it)"
            ) from None
        if _is_at(path, lock):
            break
        lock.close()  # another process has deleted the file meanwhile, and a third may have created a new one
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _is_at(path: Path, file: TextIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _refuse_hard_links(database: Path) -> None:
    """Raise if the file has a second name: SQLite keeps its write-ahead log beside the name that it is given."""
    if database.exists() and (links := database.stat().st_nlink) > 1:
        raise BrokerError(
            f"{database}: expected a file with one name, got {links} hard links to it: processes that open it by "
            "different names would destroy it; delete the other names, or copy the file"
        )
