"""Questions for finished tasks: pages by filter, and rows for streams."""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from service.messaging.messages import Origin
from service.web.read_model.answers import (
    MAX_KNOWN_DISTANCE,
    Classification,
    FoundTask,
    MatchingRows,
    StreamRow,
    TaskFilter,
    TaskOrder,
    TaskPage,
    Vector,
)
from service.web.read_model.search import match_query, well_formed

MAX_ROWS = 1_000
# Of the rows for streams that are read at once: a row may have a megabyte.
MAX_BYTES = 2 * 1024 * 1024
_COLUMNS = "tasks.row, partition, offset, timestamp_ms, value, is_classification, topic, model, depth, distance"
# A CROSS JOIN keeps this order, in which the rows come as they are wanted: a page ends before most rows are looked at.
_BY_ROW = "tasks NOT INDEXED CROSS JOIN task_values ON task_values.row = tasks.row"
_BY_TEXT = (
    "task_texts CROSS JOIN tasks ON tasks.row = task_texts.rowid CROSS JOIN task_values ON task_values.row = tasks.row"
)
_IS_CLASSIFICATION = {Classification.YES: 1, Classification.NO: 0, Classification.UNKNOWN: None}
_ALL = TaskFilter(order=TaskOrder.OLDEST)


class _Condition(Struct, frozen=True):
    """A condition of SQL, and its parameters. `is_empty` if nothing meets it; `matches` if it asks the text index."""

    sql: str
    parameters: tuple[Any, ...]
    is_empty: bool = False
    matches: bool = False


def find_page(connection: sqlite3.Connection, wanted: TaskFilter, after: int | None, limit: int) -> TaskPage:
    """Return the tasks that meet a filter, from behind row `after` on in the order of the filter."""
    condition = _condition(wanted)
    if condition.is_empty:
        return TaskPage(tasks=(), next=None, total=0)
    limit = _bounded(limit)
    rows = list(_select(connection, condition, wanted.order, after, limit + 1))
    found = tuple(FoundTask(task=row, vector=vector_at(connection, row.row)) for row in rows[:limit])
    cursor = rows[limit - 1].row if len(rows) > limit else None
    return TaskPage(tasks=found, next=cursor, total=_count(connection, condition))


def find_rows(connection: sqlite3.Connection, after: int, limit: int) -> list[StreamRow]:
    """Return the rows behind row `after`, in the order of reading; at most about `MAX_BYTES`."""
    return _bytes_bounded(_select(connection, _condition(_ALL), TaskOrder.OLDEST, after, _bounded(limit)))


def find_matching(connection: sqlite3.Connection, wanted: TaskFilter, after: int, limit: int) -> MatchingRows:
    """Return the rows behind row `after` that meet a filter, in the order of reading, whatever its order says."""
    limit, condition, end = _bounded(limit), _condition(wanted), last_row(connection)
    selected = () if condition.is_empty else _select(connection, condition, TaskOrder.OLDEST, after, limit)
    rows = _bytes_bounded(selected)
    is_cut = len(rows) == limit or sum(len(row.value) for row in rows) >= MAX_BYTES
    return MatchingRows(tuple(rows), rows[-1].row if is_cut else max(after, end))


def _bytes_bounded(rows: Iterable[StreamRow]) -> list[StreamRow]:
    """Return the first rows, up to the one with which their values have `MAX_BYTES`."""
    found: list[StreamRow] = []
    size = 0
    for row in rows:
        found.append(row)
        size += len(row.value)
        if size >= MAX_BYTES:
            break
    return found


def last_row(connection: sqlite3.Connection) -> int:
    """Return the row of the last task, 0 if there is none."""
    return int(connection.execute("SELECT coalesce(max(row), 0) FROM tasks").fetchone()[0])


def vector_at(connection: sqlite3.Connection, row: int) -> Vector:
    """Return the offsets behind the tasks up to a row; partitions without such a task are left out."""
    vector: Vector = {}
    for number in _partitions(connection):
        found = connection.execute(
            "SELECT offset FROM tasks WHERE partition = ? AND row <= ? ORDER BY row DESC LIMIT 1", (number, row)
        ).fetchone()
        if found is not None:
            vector[number] = found[0] + 1
    return vector


def first_beyond(connection: sqlite3.Connection, vector: Vector) -> int | None:
    """Return the first row whose record is not before a vector, `None` if there is none yet."""
    found = [
        connection.execute(
            "SELECT row FROM tasks WHERE partition = ? AND offset >= ? ORDER BY offset LIMIT 1",
            (number, min(vector.get(number, 0), 2**63 - 1)),
        ).fetchone()
        for number in _partitions(connection)
    ]
    return min((each[0] for each in found if each is not None), default=None)


def first_at(connection: sqlite3.Connection, timestamp_ms: int) -> int | None:
    """Return the first row whose record has this time or a later one, `None` if there is none yet."""
    found = connection.execute(
        "SELECT row FROM tasks WHERE latest_ms >= ? ORDER BY latest_ms, row LIMIT 1", (timestamp_ms,)
    ).fetchone()
    return None if found is None else int(found[0])


def _partitions(connection: sqlite3.Connection) -> list[int]:
    """Return the partitions that have tasks, by one step in the index for each."""
    found: list[int] = []
    while True:
        (number,) = connection.execute(
            "SELECT min(partition) FROM tasks WHERE partition > ?", (found[-1] if found else -1,)
        ).fetchone()
        if number is None:
            return found
        found.append(number)


def _condition(wanted: TaskFilter) -> _Condition:
    conditions: list[str] = []
    parameters: list[Any] = []
    for column in ("topic", "model", "depth"):
        if (value := getattr(wanted, column)) is not None:
            conditions.append(f"{column} = ?")
            parameters.append(well_formed(value) if isinstance(value, str) else value)
    if wanted.classification is not None:
        conditions.append("is_classification IS ?")
        parameters.append(_IS_CLASSIFICATION[wanted.classification])
    if wanted.min_distance is not None and wanted.min_distance > 0:
        conditions.append("(distance IS NULL OR distance >= ?)")
        parameters.append(min(wanted.min_distance, MAX_KNOWN_DISTANCE))
    query = None if wanted.text is None else match_query(wanted.text)
    if query is not None:
        conditions.append("task_texts MATCH ?")
        parameters.append(query)
    # A text without a word finds nothing, unless it is blank; no finished task is human.
    is_empty = wanted.origin is Origin.HUMAN or (query is None and bool((wanted.text or "").strip()))
    return _Condition(" AND ".join(conditions), tuple(parameters), is_empty, query is not None)


def _select(
    connection: sqlite3.Connection, condition: _Condition, order: TaskOrder, after: int | None, limit: int
) -> Iterator[StreamRow]:
    is_newest = order is TaskOrder.NEWEST
    row, tables = ("task_texts.rowid", _BY_TEXT) if condition.matches else ("tasks.row", _BY_ROW)
    conditions, parameters = [condition.sql] if condition.sql else [], list(condition.parameters)
    if after is not None:
        conditions.append(f"{row} {'<' if is_newest else '>'} ?")
        parameters.append(after)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    order_by = f"{row} {'DESC' if is_newest else 'ASC'}"
    sql = f"SELECT {_COLUMNS} FROM {tables}{where} ORDER BY {order_by} LIMIT ?"  # noqa: S608 - made of constants
    return map(_stream_row, connection.execute(sql, (*parameters, limit)))


def _stream_row(columns: tuple[Any, ...]) -> StreamRow:
    row, partition, offset, timestamp_ms, value, is_classification, topic, model, depth, distance = columns
    return StreamRow(
        row=row,
        partition=partition,
        offset=offset,
        timestamp_ms=timestamp_ms,
        value=value,
        is_classification=None if is_classification is None else bool(is_classification),
        topic=topic,
        model=model,
        depth=depth,
        distance=distance,
    )


def _count(connection: sqlite3.Connection, condition: _Condition) -> int:
    if not condition.sql:
        return last_row(connection)
    if condition.matches and condition.sql == "task_texts MATCH ?":
        sql = "SELECT count(*) FROM task_texts WHERE task_texts MATCH ?"
    else:
        texts = "task_texts CROSS JOIN tasks ON tasks.row = task_texts.rowid" if condition.matches else "tasks"
        sql = f"SELECT count(*) FROM {texts} WHERE {condition.sql}"  # noqa: S608 - made of constants
    return int(connection.execute(sql, condition.parameters).fetchone()[0])


def _bounded(limit: int) -> int:
    return max(1, min(limit, MAX_ROWS))
