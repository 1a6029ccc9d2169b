"""The content of a read model's tables, to compare two of them."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

# They hold where the last batch ended, and rows in the order of reading, which depends on how partitions take turns.
_APART = {"facts", "task_texts", "tasks", "task_values"}


def content_of(file: Path, *, in_order_of_reading: bool = True) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of all tables. The index of texts is in it as the rows that have a word in common."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        plain = [name for name in names if name not in _APART and not name.startswith("task_texts")]
        found = {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in plain}
        order = "row" if in_order_of_reading else "partition, offset"
        row = "row, latest_ms, " if in_order_of_reading else ""
        found["tasks"] = connection.execute(
            f"SELECT {row} partition, offset, timestamp_ms, id, pool_seq, is_classification, topic, model, depth, "
            f"distance, value FROM tasks JOIN task_values USING (row) ORDER BY {order}"
        ).fetchall()
        found["texts"] = connection.execute(
            "SELECT partition, offset FROM tasks JOIN task_texts ON task_texts.rowid = row "
            f"WHERE task_texts MATCH 'a OR the' ORDER BY {order}"
        ).fetchall()
        return found
