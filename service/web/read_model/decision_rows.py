"""Rows of decisions and of the verdicts in them. Each decision has the counts up to it, from which charts are read."""

import sqlite3
from collections import Counter
from itertools import islice
from typing import Any

import msgspec

from service.messaging.broker import Record
from service.messaging.ids import numbers_of
from service.messaging.messages import Decision

ACCEPTED = "accepted"
# The row of a verdict is that of its decision, times this, and its place there.
VERDICTS = 1 << 16

_INSERT = "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_VERDICT = "INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?)"
_LAST = "SELECT row, latest_ms, judged, accepted, reasons FROM decisions ORDER BY row DESC LIMIT 1"


class DecisionRows:
    """Takes in decisions, in their order on the log."""

    def __init__(self) -> None:
        self._last_row = 0
        self._latest_ms = 0
        self._judged = 0
        self._accepted = 0
        self._reasons: Counter[str] = Counter()
        self._rows: list[tuple[Any, ...]] = []
        self._verdicts: list[tuple[Any, ...]] = []

    def restore(self, connection: sqlite3.Connection) -> None:
        """Go on behind the last row in the table."""
        last = connection.execute(_LAST).fetchone()
        if last is not None:
            self._last_row, self._latest_ms, self._judged, self._accepted, reasons = last
            self._reasons = Counter(msgspec.json.decode(reasons, type=dict[str, int]))

    def add(self, record: Record, decision: Decision) -> None:
        """Take in a decision."""
        self._last_row += 1
        self._latest_ms = max(self._latest_ms, record.timestamp_ms)
        self._judged += len(decision.verdicts)
        self._accepted += decision.accepted
        self._reasons.update(str(each.reason) for each in decision.verdicts if each.reason is not None)
        self._rows.append(
            (
                self._last_row,
                decision.prompt_seq,
                record.offset,
                record.timestamp_ms,
                self._latest_ms,
                self._judged,
                self._accepted,
                decision.pool_size,
                msgspec.json.encode(self._reasons).decode(),
            )
        )
        for place, verdict in enumerate(islice(decision.verdicts, VERDICTS)):
            _, position = numbers_of(verdict.id) or (decision.prompt_seq, place)
            self._verdicts.append(
                (
                    self._last_row * VERDICTS + place,
                    self._last_row,
                    decision.prompt_seq,
                    position,
                    ACCEPTED if verdict.reason is None else str(verdict.reason),
                    verdict.nearest,
                    verdict.score,
                )
            )

    def write(self, connection: sqlite3.Connection) -> None:
        """Add the rows to the tables."""
        connection.executemany(_INSERT, self._rows)
        connection.executemany(_INSERT_VERDICT, self._verdicts)
        self._rows, self._verdicts = [], []
