"""The SQL of the embedded broker. All calls block: they are made in worker threads, never on the event loop.

A record's row id is `partition id << 40 | offset`, so each partition is one contiguous, ordered range of the table.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import orjson

from service.errors import BrokerError, RunLockedError
from service.messaging.broker import Committed, Headers, Partition, Record

_OFFSET_BITS = 40
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
_SCHEMA_VERSION = 1


@dataclass(slots=True)
class Write:
    """Data that become durable together: records, committed offsets of groups, and the end offset of each partition."""

    records: list[Record] = field(default_factory=list)
    offsets: dict[tuple[str, Partition], Committed] = field(default_factory=dict)
    ends: dict[Partition, int] = field(default_factory=dict)


def _dump_headers(headers: Headers) -> bytes:
    return orjson.dumps([(name, None if value is None else value.decode("latin-1")) for name, value in headers])


def _load_headers(raw: bytes) -> Headers:
    return tuple((name, None if value is None else value.encode("latin-1")) for name, value in orjson.loads(raw))


class Storage:
    """One SQLite file, its lock, a connection for writing and one for reading."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self._path = path
        self._read_only = read_only
        self._ids: dict[Partition, int] = {}
        with ExitStack() as opened:
            if not read_only:
                with self._translated("expected a folder that can be written"):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    opened.enter_context(_locked(path.with_suffix(".lock")))
            with self._translated("expected a run of the embedded broker"):
                self._writer = self._connect(opened)
                self._reader = self._connect(opened)
            self._opened = opened.pop_all()

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise BrokerError(f"{self._path}: {what}, got: {error}") from error

    def _connect(self, opened: ExitStack) -> sqlite3.Connection:
        mode = "ro" if self._read_only else "rwc"
        if self._read_only and not os.access(self._path.parent, os.W_OK):
            mode = "ro&immutable=1"  # SQLite cannot create the index of its write-ahead log there
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=5.0,
        )
        opened.callback(connection.close)
        if not self._read_only:
            self._prepare(connection)
        self._check(connection)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() != (0,):
            self._check(connection)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        if connection.execute("PRAGMA user_version").fetchone() == (0,):
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={_SCHEMA_VERSION}; COMMIT;")

    def _check(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != _SCHEMA_VERSION:
            raise BrokerError(
                f"{self._path}: expected format {_SCHEMA_VERSION} of the embedded broker, got {version}; "
                "it was written by another version of Seedstream, or by another program"
            )

    def partitions(self) -> dict[Partition, int]:
        """Return every partition with its next offset, which is at least the committed offset of every group.

        A group may have passed the gap of an aborted transaction, of which nothing was written.
        """
        rows = self._query(
            "SELECT id, topic, number, max(partitions.next_offset, coalesce(max(committed.next_offset), 0)) "
            "FROM partitions LEFT JOIN committed ON committed.partition = id GROUP BY id"
        )
        self._ids = {Partition(topic, number): row for row, topic, number, _ in rows}
        return {Partition(topic, number): end for _, topic, number, end in rows}

    def committed(self) -> dict[tuple[str, Partition], Committed]:
        """Return the committed offset and metadata of every group and partition."""
        rows = self._query(
            "SELECT consumer_group, topic, number, committed.next_offset, note "
            "FROM committed JOIN partitions ON partitions.id = committed.partition"
        )
        return {
            (group, Partition(topic, number)): Committed(offset, metadata)
            for group, topic, number, offset, metadata in rows
        }

    def create(self, partitions: Iterable[Partition]) -> None:
        """Add partitions at offset 0."""
        rows = [(partition.topic, partition.number) for partition in partitions]
        with self._writing():
            self._writer.executemany("INSERT INTO partitions (topic, number, next_offset) VALUES (?, ?, 0)", rows)
        self.partitions()

    def apply(self, writes: Iterable[Write]) -> None:
        """Make writes durable in one SQL transaction; on an error, raise `BrokerError` and write none of them."""
        with self._writing():
            for write in writes:
                self._apply(write)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._translated("expected to write to the log"):
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                yield
                self._writer.execute("COMMIT")
            finally:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")

    def _query(self, statement: str, values: Sequence[int] = ()) -> list[Any]:
        with self._translated("expected to read the log"):
            return self._reader.execute(statement, values).fetchall()

    def _apply(self, write: Write) -> None:
        self._writer.executemany(
            "INSERT INTO records (position, timestamp_ms, key, value, headers) VALUES (?, ?, ?, ?, ?)",
            [
                (
                    self._position(record.partition, record.offset),
                    record.timestamp_ms,
                    record.key,
                    record.value,
                    _dump_headers(record.headers),
                )
                for record in write.records
            ],
        )
        self._writer.executemany(
            "UPDATE partitions SET next_offset = max(next_offset, ?) WHERE id = ?",
            [(end, self._ids[partition]) for partition, end in write.ends.items()],
        )
        self._writer.executemany(
            "INSERT OR REPLACE INTO committed (consumer_group, partition, next_offset, note) VALUES (?, ?, ?, ?)",
            [
                (group, self._ids[partition], committed.offset, committed.metadata)
                for (group, partition), committed in write.offsets.items()
            ],
        )

    def read(self, partition: Partition, start: int, end: int, limit: int) -> list[Record]:
        """Return up to `limit` records with start <= offset < end, in order."""
        rows = self._query(
            "SELECT position, timestamp_ms, key, value, headers FROM records "
            "WHERE position >= ? AND position < ? ORDER BY position LIMIT ?",
            (self._position(partition, start), self._position(partition, end), limit),
        )
        mask = (1 << _OFFSET_BITS) - 1
        return [
            Record(partition, position & mask, key, value, _load_headers(headers), timestamp_ms)
            for position, timestamp_ms, key, value, headers in rows
        ]

    def close(self) -> None:
        """Close the file and release its lock."""
        self._opened.close()

    def _position(self, partition: Partition, offset: int) -> int:
        return self._ids[partition] << _OFFSET_BITS | offset


def _locked(path: Path) -> TextIO:
    lock = path.open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise RunLockedError(
            f"{path.with_suffix('')}: expected to be the only process with this run open, but process {holder} has it; "
            "stop that one first, or use another --run (status, watch, explain and export work beside it)"
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock
