"""The SQL of the embedded broker. All calls block: they are made in worker threads, never on the event loop.

A record's row id is `partition id << 40 | offset`, so each partition is one contiguous, ordered range of the table.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.adapters.sqlite.checksums import OFFSET_BITS, of_texts, position_of, record_of, record_row
from service.adapters.sqlite.connections import (
    check_small_tables,
    connect_to_read,
    connect_to_write,
    damaged,
    has_checksums,
    primary_code,
    refuse_log_beside,
    translated,
)
from service.adapters.sqlite.lock import Lock
from service.errors import BrokerError, OutcomeUnknownError
from service.messaging.broker import Committed, Partition, Record


@dataclass(slots=True)
class Write:
    """Data that become durable together: records, committed offsets of groups, and the end offset of each partition."""

    records: list[Record] = field(default_factory=list)
    offsets: dict[tuple[str, Partition], Committed] = field(default_factory=dict)
    ends: dict[Partition, int] = field(default_factory=dict)


class Storage:
    """One SQLite file, its lock, a connection for writing and one for reading.

    Unless `keep_empty`, closing deletes a file that this opening created and that has no record.
    """

    def __init__(self, path: Path, *, read_only: bool, keep_empty: bool = True) -> None:
        self._path = path
        self._ids: dict[Partition, int] = {}
        self._immutable = False
        self._broken: str | None = None
        self._keep = keep_empty
        self._unneeded = True
        with ExitStack() as opened:
            with translated(path, "expected a run of the embedded broker"):
                if read_only:
                    self._reader, self._immutable = connect_to_read(path)
                    opened.callback(self._reader.close)
                    self._writer = self._reader
                else:
                    self._lock(opened)
                    self._writer, self._reader = connect_to_write(path), connect_to_write(path)
                    opened.callback(self._writer.close)
                    opened.callback(self._reader.close)
                check_small_tables(self._reader, path)
                self._has_checksums = has_checksums(self._reader, path)
            self._unneeded = False
            self._opened = opened.pop_all()

    def _lock(self, opened: ExitStack) -> None:
        with translated(self._path, "expected a folder that can be written"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = Lock(self._path)
        opened.callback(self._leave, lock, created=not self._path.exists())

    def _leave(self, lock: Lock, *, created: bool) -> None:
        if self._unneeded and created:
            file = self._path.resolve()
            for suffix in ("", "-wal", "-shm"):
                file.with_name(file.name + suffix).unlink(missing_ok=True)
        lock.release(remove=self._unneeded)

    def partitions(self) -> dict[Partition, int]:
        """Return every partition with its next offset, which is at least the committed offset of every group.

        A group may have passed the gap of an aborted transaction, of which nothing was written.
        """
        if self._immutable:
            refuse_log_beside(self._path)
        rows = self._query(
            f"SELECT id, topic, number, next_offset, {self._checksum}, (SELECT max(next_offset) FROM committed "  # noqa: S608
            "WHERE partition = id), (SELECT max(position) FROM records WHERE position >= id << ? "
            "AND position < id + 1 << ?) FROM partitions ORDER BY id",
            (OFFSET_BITS, OFFSET_BITS),
        )
        ends: dict[Partition, int] = {}
        for number, *values, last in rows:
            partition, end = self._partition(number, *values)
            if last is not None and last >= position_of(number, end):
                raise damaged(self._path, f"{partition}: expected no record behind offset {end}, and there is one")
            ends[partition] = end
            self._ids[partition] = number
        if not ends and self._query("SELECT EXISTS (SELECT 1 FROM records)") == [(1,)]:
            raise damaged(self._path, "expected the topics of its records, and there are none")
        return ends

    def _partition(
        self, row: int, topic: Any, number: Any, end: Any, checksum: Any, committed: Any
    ) -> tuple[Partition, int]:
        whole = checksum is None or checksum == of_texts(row, topic, number)
        if not whole or not isinstance(end, int) or not 0 <= end >> OFFSET_BITS < 1:
            raise damaged(self._path, f"expected the name and the end of partition {row}, got {topic!r}")
        return Partition(topic, number), max(end, committed or 0)

    @property
    def _checksum(self) -> str:
        return "checksum" if self._has_checksums else "NULL"

    def committed(self) -> dict[tuple[str, Partition], Committed]:
        """Return the committed offset and metadata of every group and partition."""
        rows = self._query(
            f"SELECT consumer_group, partition, next_offset, note, {self._checksum} FROM committed"  # noqa: S608
        )
        partitions = {row: partition for partition, row in self._ids.items()}
        found: dict[tuple[str, Partition], Committed] = {}
        for group, row, offset, metadata, checksum in rows:
            if row not in partitions or checksum not in (None, of_texts(group, row, offset, metadata)):
                raise damaged(self._path, f"expected a committed offset of group {group!r}, got {offset!r}")
            found[group, partitions[row]] = Committed(offset, metadata)
        return found

    def create(self, partitions: Iterable[Partition]) -> None:
        """Add partitions at offset 0."""
        with self._writing():
            for topic, number in ((partition.topic, partition.number) for partition in partitions):
                row = self._writer.execute(
                    "INSERT INTO partitions (topic, number, next_offset) VALUES (?, ?, 0)", (topic, number)
                ).lastrowid
                checksum = of_texts(row or 0, topic, number)
                self._writer.execute("UPDATE partitions SET checksum = ? WHERE id = ?", (checksum, row))
        self.partitions()

    def apply(self, writes: Iterable[Write]) -> None:
        """Make writes durable in one SQL transaction; on an error, write none of them.

        Raises:
            OutcomeUnknownError: the commit failed, and only a process that opens the file anew sees whether it took
                effect; this one can no longer write.
            BrokerError: nothing was written.
        """
        with self._writing():
            for write in writes:
                self._apply(write)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._broken is not None:
            raise BrokerError(f"{self._path}: an earlier write failed, so nothing more is written: {self._broken}")
        with translated(self._path, "expected to write to the log"):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException as error:
                self._roll_back(error)
                raise
            self._commit()

    def _roll_back(self, cause: BaseException) -> None:
        """Leave the transaction; if that fails, the next write would be part of it, so there must be none."""
        self._broken = str(cause) or type(cause).__name__
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")
        self._broken = None

    def _commit(self) -> None:
        try:
            self._writer.execute("COMMIT")
        except BaseException as error:
            self._roll_back(error)
            if isinstance(error, sqlite3.Error) and primary_code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY):
                raise
            self._broken = str(error) or type(error).__name__
            raise OutcomeUnknownError(
                f"{self._path}: the commit failed ({self._broken}), and may have taken effect; start again, and the "
                "log decides"
            ) from error

    def _query(self, statement: str, values: Sequence[int] = ()) -> list[Any]:
        with translated(self._path, "expected to read the log"):
            return self._reader.execute(statement, values).fetchall()

    def _apply(self, write: Write) -> None:
        self._writer.executemany(
            "INSERT INTO records (position, timestamp_ms, key, value, headers, previous, checksum) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            self._rows_of(write.records),
        )
        self._writer.executemany(
            "UPDATE partitions SET next_offset = max(next_offset, ?) WHERE id = ?",
            [(end, self._ids[partition]) for partition, end in write.ends.items()],
        )
        committed = [
            (group, self._ids[partition], committed.offset, committed.metadata)
            for (group, partition), committed in write.offsets.items()
        ]
        self._writer.executemany(
            "INSERT OR REPLACE INTO committed (consumer_group, partition, next_offset, note, checksum) "
            "VALUES (?, ?, ?, ?, ?)",
            [(*values, of_texts(*values)) for values in committed],
        )

    def _rows_of(self, records: Iterable[Record]) -> Iterator[tuple[Any, ...]]:
        """Yield the row of each record, with the offset of the record before it."""
        before: dict[Partition, int] = {}
        for record in records:
            row, last = self._ids[record.partition], before.get(record.partition)
            if last is None:
                last = self._last_before(row, record.offset)
            before[record.partition] = record.offset
            yield record_row(row, record, last)

    def _last_before(self, row: int, offset: int) -> int:
        first = position_of(row, 0)
        (found,) = self._writer.execute(
            "SELECT max(position) FROM records WHERE position >= ? AND position < ?", (first, position_of(row, offset))
        ).fetchone()
        return -1 if found is None else int(found) - first

    def read(self, partition: Partition, start: int, end: int, limit: int) -> list[Record]:
        """Return up to `limit` records with start <= offset < end, in order.

        Raises:
            DamagedLogError: a record is damaged, or one is missing; the message names the first.
        """
        rows, beyond = self._scan(partition, start, end, limit)
        found: list[Record] = []
        due = start
        for values in rows:
            record, previous = record_of(partition, values), values[5]
            if record is None:
                offset = values[0] - position_of(self._ids[partition], 0)
                raise damaged(self._path, f"{partition}/{offset}: the record differs from its checksum")
            if record.offset < due or (previous is not None and previous >= due):
                raise damaged(
                    self._path, f"{partition}/{max(due, previous or 0)}: expected a record, and there is none"
                )
            found.append(record)
            due = record.offset + 1
        if beyond is not None and not self._follows(beyond, partition, due):
            raise damaged(
                self._path, f"{partition}/{due}: expected a record or the next partition, and there is neither"
            )
        return found

    def _follows(self, row: Any, partition: Partition, due: int) -> bool:
        """Return whether a row is whole and may be the next one behind the records of a partition below `due`."""
        is_of_partition = row[0] >> OFFSET_BITS == self._ids[partition]
        previous = -1 if row[5] is None else row[5]
        return record_of(partition, row) is not None and previous < (due if is_of_partition else 0)

    def _scan(self, partition: Partition, start: int, end: int, limit: int) -> tuple[list[Any], Any]:
        """Return up to `limit` rows of a range, and the row behind them, if there is one.

        Where rows are lost, or the position of one is damaged, a row that does not follow comes there.
        """
        columns = "previous, checksum" if self._has_checksums else "NULL, NULL"
        first, last = position_of(self._ids[partition], start), position_of(self._ids[partition], end)
        statement = (
            f"SELECT position, timestamp_ms, key, value, headers, {columns} FROM records "  # noqa: S608
            "WHERE position >= ? ORDER BY position LIMIT ?"
        )
        rows = self._query(statement, (first, min(limit, end - start) + 1))
        count = len(rows)
        while count > 0 and (count > limit or rows[count - 1][0] >= last):
            count -= 1
        return rows[:count], rows[count] if count < len(rows) else None

    def close(self) -> None:
        """Close the file and release its lock; delete an empty file that need not be kept."""
        if not self._keep:
            self._unneeded = self._query("SELECT NOT EXISTS (SELECT 1 FROM records)") == [(1,)]
        self._opened.close()
