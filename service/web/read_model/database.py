"""The file of a read model: one connection that writes, some that read, each used by one thread at a time."""

import fcntl
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO, TypeVar

import anyio
import structlog
from anyio import to_thread

from service.errors import ReadModelError
from service.web.read_model.schema import TABLES, VERSION

_READERS = 4
_READ_S = 10.0
# SQLite asks whether a question takes too long after this many steps of its virtual machine.
_STEPS = 100_000
_BUSY_MS = 5_000
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)
# Statements that write are constants: one that SQLite does not understand, or that breaks a constraint, met damage.
_DAMAGE_TO_WRITER = (*_DAMAGE, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT)
_CACHE_KIB = 8_192

log = structlog.get_logger()

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class DamagedFileError(ReadModelError):
    """The file of the read model is damaged; it is made again from the log."""


class Database:
    """The tables of a run in a file. `generation` grows when they are made again, empty.

    `is_damaged` once a question has met a damaged page: the tables have to be made again.
    """

    def __init__(self, file: Path, run: str) -> None:
        self._file = file
        self._run = run
        self._writing = anyio.CapacityLimiter(1)
        self._reading = anyio.CapacityLimiter(_READERS)
        self._writer: sqlite3.Connection | None = None
        self._idle: list[sqlite3.Connection] = []
        self.generation = 0
        self.is_damaged = False

    @classmethod
    @asynccontextmanager
    async def open(cls, file: Path | None, run: str) -> "AsyncIterator[Database]":
        """Open the tables in a file, empty ones if it has none of this version and run.

        Without a file, or while another process has it, they are in a temporary one.
        """
        place = await to_thread.run_sync(_Place, file)
        database = cls(place.file, run)
        try:
            await to_thread.run_sync(database._open, limiter=database._writing)
            yield database
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(database._close, limiter=database._writing)
                await to_thread.run_sync(place.close)

    async def write(self, work: Work[T]) -> T:
        """Return the result of a function that gets the connection that writes, in one transaction.

        Raises:
            DamagedFileError: the file is damaged.
            ReadModelError: the file cannot be written.
        """
        return await to_thread.run_sync(self._write, work, limiter=self._writing)

    async def read(self, work: Work[T]) -> T:
        """Return the result of a function that gets a connection that reads, and sees one state of the tables.

        Raises:
            ReadModelError: the question takes too long, or the file cannot be read.
        """
        try:
            return await to_thread.run_sync(self._read, work, limiter=self._reading)
        except DamagedFileError:
            self.is_damaged = True
            raise

    async def clear(self, why: str) -> None:
        """Replace the file by one with empty tables. Questions on their way still see the old one."""
        log.info("read_model.rebuilt", file=str(self._file), why=why)
        await to_thread.run_sync(self._clear, limiter=self._writing)

    def _open(self) -> None:
        try:
            with _translated(self._file, _DAMAGE_TO_WRITER):
                self._writer = _connected(self._file, self._run)
        except DamagedFileError as error:
            log.info("read_model.rebuilt", file=str(self._file), why=str(error))
            self._clear()

    def _clear(self) -> None:
        with _translated(self._file):
            self._close()
            for end in ("", "-wal", "-shm"):
                self._file.with_name(self._file.name + end).unlink(missing_ok=True)
            self._writer = _connected(self._file, self._run)
            self.generation += 1
            self.is_damaged = False

    def _close(self) -> None:
        for connection in [self._idle.pop() for _ in range(len(self._idle))]:
            connection.close()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write(self, work: Work[T]) -> T:
        if self._writer is None:
            raise ReadModelError(f"{self._file}: expected an open file, it could not be made again")
        with _translated(self._file, _DAMAGE_TO_WRITER), self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            return work(self._writer)

    def _idle_one(self) -> sqlite3.Connection | None:
        """Return a connection that no thread uses, `None` if there is none."""
        try:
            return self._idle.pop()
        except IndexError:  # a look before the pop would be too early: other threads take them too
            return None

    def _read(self, work: Work[T]) -> T:
        generation = self.generation
        with _translated(self._file):
            connection = self._idle_one() or _connected_to_read(self._file)
            try:
                deadline = time.monotonic() + _READ_S
                connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
                connection.execute("BEGIN")
                found = work(connection)
                connection.rollback()
            except BaseException:
                connection.close()
                raise
        if generation == self.generation and self._writer is not None:
            self._idle.append(connection)
        else:
            connection.close()
        return found


class _Place:
    """The file to use and what it needs: a lock, or a temporary folder."""

    def __init__(self, wanted: Path | None) -> None:
        self._lock = _locked(wanted) if wanted is not None else None
        self._folder: TemporaryDirectory[str] | None = None
        if wanted is not None and self._lock is not None:
            self.file = wanted
        else:
            self._folder = TemporaryDirectory(prefix="seedstream-web-")
            self.file = Path(self._folder.name) / "web.sqlite3"
            if wanted is not None:
                log.info("read_model.temporary", wanted=str(wanted), file=str(self.file))

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()
        if self._folder is not None:
            self._folder.cleanup()


def _locked(file: Path) -> TextIO | None:
    """Return the open lock of a file, `None` if another process has it or the folder cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = file.with_name(f"{file.name}.lock").open("a+", encoding="utf-8")
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.access(file.parent, os.W_OK):
            return lock
    except OSError:
        pass
    lock.close()
    return None


def _connected(file: Path, run: str) -> sqlite3.Connection:
    """Return a connection that writes; a file that is not this run's, or not whole, raises `DamagedFileError`."""
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1_000)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        if connection.execute("PRAGMA user_version").fetchone() == (0,) and _is_empty(connection):
            connection.executescript(f"BEGIN; {TABLES} PRAGMA user_version={VERSION}; COMMIT")
            connection.execute("INSERT INTO facts VALUES ('run', ?)", (run,))
        _check(connection, run)
    except BaseException:
        connection.close()
        raise
    return connection


def _connected_to_read(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{file.absolute().as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=_BUSY_MS / 1_000,
    )
    connection.execute("PRAGMA query_only=1")
    return connection


def _is_empty(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,))


def _check(connection: sqlite3.Connection, run: str) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != VERSION:
        raise DamagedFileError(f"expected version {VERSION}, got {version}")
    found = connection.execute("SELECT value FROM facts WHERE name = 'run'").fetchone()
    if found != (run,):
        raise DamagedFileError(f"expected run {run!r}, got {found and found[0]!r}")
    with closing(connection.execute("PRAGMA quick_check(1)")) as rows:
        if (verdict := rows.fetchone()) != ("ok",):
            raise DamagedFileError(f"it is damaged: {verdict[0]}")


@contextmanager
def _translated(file: Path, damage: Collection[int] = _DAMAGE) -> Iterator[None]:
    """Raise `DamagedFileError` or `ReadModelError` for errors of SQLite and of the file system."""
    try:
        yield
    except (sqlite3.Error, OSError, OverflowError) as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None and code & 0xFF in damage:
            raise DamagedFileError(f"{file}: {error}") from error
        if code == sqlite3.SQLITE_INTERRUPT:
            raise ReadModelError(f"the question took longer than {_READ_S:.0f} s; narrow it") from error
        raise ReadModelError(f"{file}: expected to read or write it, got: {error}") from error
