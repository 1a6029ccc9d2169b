"""Rows of finished tasks, in the order of reading, and their full-text index."""

import sqlite3
from typing import Any

from service.messaging.broker import Record
from service.messaging.messages import FinishedTask
from service.web.read_model.tallies import Tallies

_INSERT = """
INSERT INTO tasks VALUES (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, (SELECT 1.0 - score FROM pool WHERE pool_seq = ?7)
)
"""
_INSERT_VALUE = "INSERT INTO task_values VALUES (?, ?)"
_INSERT_TEXT = "INSERT INTO task_texts (rowid, instruction, inputs, outputs) VALUES (?, ?, ?, ?)"


class TaskRows:
    """Takes in finished tasks. `last_row` is the row of the last one; `latest_ms` the latest time of those up to it."""

    def __init__(self) -> None:
        self.last_row = 0
        self._latest_ms = 0
        self._rows: list[tuple[Any, ...]] = []
        self._values: list[tuple[int, bytes]] = []
        self._texts: list[tuple[int, str, str, str]] = []

    def restore(self, connection: sqlite3.Connection) -> None:
        """Go on behind the last row in the table."""
        last = connection.execute("SELECT row, latest_ms FROM tasks ORDER BY row DESC LIMIT 1").fetchone()
        self.last_row, self._latest_ms = last or (0, 0)

    def add(self, record: Record, task: FinishedTask, tallies: Tallies) -> None:
        """Take in a task."""
        self.last_row += 1
        self._latest_ms = max(self._latest_ms, record.timestamp_ms)
        place = (record.partition.number, record.offset, record.timestamp_ms, self._latest_ms)
        origin = task.provenance
        facts = (task.id, task.pool_seq, task.is_classification, task.topic, origin.model, origin.depth)
        self._rows.append((self.last_row, *place, *facts))
        self._values.append((self.last_row, record.value or b""))
        inputs = "\n".join(each.input for each in task.instances)
        outputs = "\n".join(each.output for each in task.instances)
        self._texts.append((self.last_row, task.instruction, inputs, outputs))
        tallies.task_finished(record.timestamp_ms, origin.parents)

    def write(self, connection: sqlite3.Connection) -> None:
        """Add the rows to the tables."""
        connection.executemany(_INSERT, self._rows)
        connection.executemany(_INSERT_VALUE, self._values)
        connection.executemany(_INSERT_TEXT, self._texts)
        self._rows, self._values, self._texts = [], [], []
