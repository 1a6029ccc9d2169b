"""Copies what is whole of a damaged log into a new file, with the same partitions and offsets."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from msgspec import Struct

from service.adapters.sqlite.checksums import OFFSET_BITS, of_texts, position_of, record_of
from service.adapters.sqlite.connections import connect_to_write, translated
from service.adapters.sqlite.lock import Lock
from service.adapters.sqlite.pages import rows_of
from service.errors import BrokerError
from service.messaging.broker import Partition, Record
from service.messaging.codec import header
from service.messaging.dead_letters import DeadLetter
from service.messaging.topics import TOPIC_OF_TYPE

_RECORD_COLUMNS = 7
_EARLIER_COLUMNS = 5
_POSITIONS = range(1 << OFFSET_BITS, 1 << 63)
_NOWHERE = Partition("", 0)
# The copy has no checksums: they name records that are lost.
_INSERT = "INSERT OR IGNORE INTO records (position, timestamp_ms, key, value, headers) VALUES (?, ?, ?, ?, ?)"
_BEFORE = "CREATE TEMP TABLE before (position INTEGER PRIMARY KEY, previous INTEGER)"


# A partition, and its end offset if that is known.
_Named = tuple[Partition, int | None]


class Lost(Struct, frozen=True):
    """A range of offsets of a partition, both ends included, in which records are lost. It may contain gaps.

    `last` is `None` if it is not known where the partition ended; then nothing may be lost.
    """

    partition: Partition
    first: int
    last: int | None


@dataclass(slots=True)
class _Found:
    """The rows of `partitions`: name and end by id; and the positions of records that were found damaged."""

    partitions: dict[int, _Named] = field(default_factory=dict)
    damaged: set[int] = field(default_factory=set)


def copy_whole_records(source: Path, target: Path) -> list[Lost]:
    """Copy the whole records of a log to a new file; return the ranges of offsets in which some are lost.

    Committed offsets are not copied. The source is only read.

    Raises:
        RunLockedError: a process has the source open.
        BrokerError: no record is whole.
    """
    with translated(source, "expected to copy the whole records"):
        lock = Lock(source)
        try:
            with closing(connect_to_write(target)) as connection:
                connection.execute("PRAGMA synchronous=OFF")
                connection.execute(_BEFORE)
                connection.execute("BEGIN IMMEDIATE")
                found = _copy(source.resolve(), connection)
                named = _named(connection, source, found.partitions)
                lost = [each for row in named for each in _lost(connection, row, named[row], found.damaged)]
                _write_partitions(connection, named)
                connection.execute("COMMIT")
        finally:
            lock.release(remove=True)
    return sorted(lost, key=lambda each: (each.partition, each.first))


def _copy(source: Path, target: sqlite3.Connection) -> _Found:
    found = _Found()
    for row, values in rows_of(source):
        if _is_record(values):
            whole = (row, *values[1:], *(None,) * (_RECORD_COLUMNS - len(values)))
            if row in _POSITIONS and record_of(_NOWHERE, whole) is not None:
                target.execute(_INSERT, whole[:5])
                target.execute("INSERT OR IGNORE INTO before VALUES (?, ?)", (row, whole[5]))
            else:
                found.damaged.add(row)
        elif (partition := _partition_in(row, values)) is not None:
            found.partitions.setdefault(row, partition)  # the newest version comes first
    return found


def _is_record(values: Sequence[Any]) -> bool:
    return (
        _EARLIER_COLUMNS <= len(values) <= _RECORD_COLUMNS
        and isinstance(values[1], int)
        and isinstance(values[4], bytes)
    )


def _partition_in(row: int, values: Sequence[Any]) -> _Named | None:
    """Return the partition and its end offset in a row, or `None` if the row is damaged or of another table."""
    match values:
        case [None, str() as topic, int() as number, int() as end, *rest] if len(rest) < 2:  # noqa: PLR2004
            checksum = rest[0] if rest else None
            if checksum in (None, of_texts(row, topic, number)) and 0 <= end >> OFFSET_BITS < 1:
                return Partition(topic, number), end
    return None


def _named(target: sqlite3.Connection, source: Path, found: Mapping[int, _Named]) -> dict[int, _Named]:
    """Return name and end of every partition that has records; a name that was lost follows from a record."""
    named = dict(found)
    rows = [row for (row,) in target.execute("SELECT DISTINCT position >> ? FROM records ORDER BY 1", (OFFSET_BITS,))]
    if not rows:
        raise BrokerError(f"{source}: expected a log with whole records, and there is none")
    for row in rows:
        last = _last_record(target, row)
        if row not in named:
            taken = {partition for partition, _ in named.values()}
            topic = _topic_of(last)
            named[row] = next(each for number in count() if (each := Partition(topic, number)) not in taken), None
        partition, end = named[row]
        if end is not None and end <= last.offset:
            named[row] = partition, None
    return named


def _last_record(target: sqlite3.Connection, row: int) -> Record:
    values = target.execute(
        "SELECT position, timestamp_ms, key, value, headers, NULL, NULL FROM records "
        "WHERE position >= ? AND position < ? ORDER BY position DESC LIMIT 1",
        (position_of(row, 0), position_of(row + 1, 0)),
    ).fetchone()
    record = record_of(_NOWHERE, values)
    if record is None:
        raise BrokerError("expected to read a record again that was just written")
    return record


def _topic_of(record: Record) -> str:
    """Return the name of the topic that a record is from, by its headers."""
    run = (header(record.headers, "ce_source") or "").rpartition("/")[2]
    kind = header(record.headers, "ce_type")
    topic = next((topic.of(run) for each, topic in TOPIC_OF_TYPE.items() if each.ce_type == kind), "unknown")
    letter = DeadLetter.of(record)
    return topic if letter.origin is None else f"{letter.origin.rsplit('/', 2)[0]}.dlq"


def _lost(target: sqlite3.Connection, row: int, named: _Named, damaged: set[int]) -> Iterator[Lost]:
    """Yield the ranges of a partition in which records are lost.

    Where no record says what was before it, at the end or in a file of an earlier version, a single missing offset
    counts as the end of a transaction if the partition has others, unless a damaged record was found there.
    """
    partition, end = named
    base, due, has_gaps = position_of(row, 0), 0, False
    rows = target.execute(
        "SELECT position, previous FROM before WHERE position >= ? AND position < ? ORDER BY position",
        (base, position_of(row + 1, 0)),
    )
    for position, previous in (*rows, (end if end is None else base + end, None)):
        if position is None:
            yield Lost(partition, due, None)
            return
        last = position - base - 1 if previous is None else previous
        may_be_gap = previous is None and due == last and base + due not in damaged
        if due <= last and not (may_be_gap and (has_gaps or position - base != end)):
            yield Lost(partition, due, last)
        has_gaps |= last < position - base - 1 or may_be_gap
        due = position - base + 1


def _write_partitions(target: sqlite3.Connection, named: Mapping[int, _Named]) -> None:
    """Write the partitions, and those of the same topics of which nothing was found."""
    widths: dict[str, int] = {}
    for partition, _ in named.values():
        widths[partition.topic] = max(widths.get(partition.topic, 0), partition.number + 1)
    known = {partition for partition, _ in named.values()}
    absent = [each for topic, width in widths.items() for each in map(Partition, [topic] * width, range(width))]
    rows = [(row, partition, _end_of(target, row, end)) for row, (partition, end) in named.items()]
    rows += [(row, each, 0) for row, each in zip(count(max(named) + 1), absent, strict=False) if each not in known]
    target.executemany(
        "INSERT INTO partitions (id, topic, number, next_offset, checksum) VALUES (?, ?, ?, ?, ?)",
        [(row, each.topic, each.number, end, of_texts(row, each.topic, each.number)) for row, each, end in rows],
    )


def _end_of(target: sqlite3.Connection, row: int, end: int | None) -> int:
    return _last_record(target, row).offset + 1 if end is None else end
