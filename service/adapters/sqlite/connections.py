"""Connections to a log's file, and the translation of SQLite's errors."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from service.errors import BrokerError, DamagedLogError, RunNotFoundError

_FORMAT = 1
# All statements are constants: one that SQLite does not understand, or that breaks a constraint, met a damaged file.
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_FORMAT, None)
_OF_THE_FILE = (sqlite3.DatabaseError, sqlite3.OperationalError, sqlite3.IntegrityError)
# The index of a write-ahead log cannot be created or written.
_WITHOUT_PERMISSION = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
_MADE_LATER = {
    "records": ("previous", "checksum"),
    "partitions": ("checksum",),
    "committed": ("checksum",),
}
_SCHEMA = """
CREATE TABLE partitions (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    number INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    UNIQUE (topic, number)
);
CREATE TABLE records (
    position INTEGER PRIMARY KEY,
    timestamp_ms INTEGER NOT NULL,
    key BLOB,
    value BLOB,
    headers BLOB NOT NULL
);
CREATE TABLE committed (
    consumer_group TEXT NOT NULL,
    partition INTEGER NOT NULL REFERENCES partitions (id),
    next_offset INTEGER NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (consumer_group, partition)
) WITHOUT ROWID;
"""


@contextmanager
def translated(path: Path, what: str) -> Iterator[None]:
    """Raise `DamagedLogError` or `BrokerError` for errors of SQLite, of the file system and of the memory."""
    try:
        yield
    except sqlite3.Error as error:
        if type(error) in _OF_THE_FILE and primary_code(error) in _DAMAGE:
            raise damaged(path, f"{what}, got: {error}") from error
        raise BrokerError(f"{path}: {what}, got: {error}{_more(path, error)}") from error
    except UnicodeDecodeError as error:
        raise damaged(path, f"{what}, got: {error}") from error
    except (OSError, MemoryError, OverflowError, UnicodeEncodeError) as error:
        raise BrokerError(f"{path}: {what}, got: {error or 'not enough memory'}") from error


def damaged(path: Path, found: str) -> DamagedLogError:
    """Return the error of a damaged file; `found` says what was expected and what came."""
    return DamagedLogError(f"{path} is damaged; {_salvage(path)}; {found}")


def primary_code(error: sqlite3.Error) -> int | None:
    """Return SQLite's primary error code, `None` if the error is not SQLite's."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _more(path: Path, error: sqlite3.Error) -> str:
    """Return what SQLite's message does not say: the cause or the remedy."""
    match primary_code(error):
        case sqlite3.SQLITE_FULL:
            return "; make room and run it again"
        case sqlite3.SQLITE_NOTADB:
            return f"; if it was one, its first page is damaged, and {_salvage(path)}"
        case sqlite3.SQLITE_CANTOPEN:
            return _refusal_of(path)
        case _:
            return ""


def _salvage(path: Path) -> str:
    return f"`seedstream salvage --run {path.stem} --into NAME` copies what is whole to a new run"


def _refusal_of(path: Path) -> str:
    """Return why a file cannot be opened, which SQLite does not tell."""
    try:
        path.open("rb").close()
    except OSError as error:
        return f": {error.strerror}"
    return ""


def connect_to_write(path: Path) -> sqlite3.Connection:
    """Open a file for writing, and create its tables, and the columns that an earlier version did not know."""
    return _opened(path, "rwc", _prepare)


def connect_to_read(path: Path) -> tuple[sqlite3.Connection, bool]:
    """Open a file for reading; return also whether it is read as a file that nobody writes.

    Raises:
        BrokerError: the folder cannot be written, and the file has a write-ahead log that SQLite cannot read there.
    """
    try:
        return _opened(path, "ro", _check), False
    except sqlite3.OperationalError as error:
        if primary_code(error) not in _WITHOUT_PERMISSION:
            raise
    refuse_log_beside(path)
    return _opened(path, "ro&immutable=1", _check), True


def refuse_log_beside(path: Path) -> None:
    """Raise if there is a write-ahead log beside a file that is read without one."""
    if _has_log_beside(path):
        log = _log_beside(path)
        raise BrokerError(
            f"{path}: the newest records are in {log.name}, which cannot be read in a folder without write permission; "
            f"get that permission, or copy {path.name} and {log.name} to a folder of your own and read them there"
        )


def _log_beside(path: Path) -> Path:
    file = path.resolve()
    return file.with_name(file.name + "-wal")


def _has_log_beside(path: Path) -> bool:
    log = _log_beside(path)
    return log.exists() and log.stat().st_size > 0


def columns_of(connection: sqlite3.Connection, table: str) -> set[str]:
    """Return the names of a table's columns."""
    return {name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")}


def has_checksums(connection: sqlite3.Connection, path: Path) -> bool:
    """Return whether records have checksums; raise `DamagedLogError` if the name of one of those columns is damaged."""
    found = columns_of(connection, "records").intersection(_MADE_LATER["records"])
    if len(found) == 1:
        raise damaged(path, f"expected the columns {' and '.join(_MADE_LATER['records'])} or neither, got {found}")
    return bool(found)


def check_small_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `DamagedLogError` if the pages of the small tables are not in order.

    A row lost there would not be missed. Records name those before them, so that a reader misses what is lost.
    """
    for table in ("partitions", "committed"):
        (found,) = connection.execute(f"PRAGMA quick_check({table})").fetchone()
        if found != "ok":
            what = " ".join(found.removeprefix("*** in database main ***").split())
            raise damaged(path, f"expected pages in order, got: {what}")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """Connect to a file; raise `DamagedLogError` if it is empty, and SQLite would delete the log beside it."""
    if path.exists() and path.stat().st_size == 0 and _has_log_beside(path):
        raise damaged(path, f"expected the pages before those in {_log_beside(path).name}, got an empty file")
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=5.0,
    )


def _opened(path: Path, mode: str, check: Callable[[sqlite3.Connection, Path], None]) -> sqlite3.Connection:
    """Connect to a file and check it; the connection is closed if that fails."""
    connection = _connect(path, mode)
    try:
        check(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() != (0,):
        _check(connection, path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    if connection.execute("PRAGMA user_version").fetchone() == (0,):
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={_FORMAT}; COMMIT;")
    missing = [
        f"ALTER TABLE {table} ADD COLUMN {column} INTEGER;"
        for table, columns in _MADE_LATER.items()
        for column in columns
        if column not in columns_of(connection, table)
    ]
    if missing:
        connection.executescript(f"BEGIN IMMEDIATE; {' '.join(missing)} COMMIT;")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
        raise RunNotFoundError(f"{path} is empty: no run has begun in it, or its content is lost")
    if version != _FORMAT:
        raise BrokerError(
            f"{path}: expected format {_FORMAT} of the embedded broker, got {version}; it was written by another "
            f"version of Seedstream, or by another program, or it is damaged: {_salvage(path)}"
        )
