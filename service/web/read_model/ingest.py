"""Takes records of a run into the tables, a batch in a transaction, together with the place behind it on the log."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from service.messaging.bookmark import Bookmark
from service.messaging.broker import Record
from service.messaging.messages import (
    Answer,
    CallsDropped,
    ClassifiedInstruction,
    Decision,
    FailedPrompt,
    FinishedTask,
    Message,
    PooledTask,
    Prompt,
    TaskInstances,
)
from service.selfinstruct.recipe import Language
from service.web.read_model.database import DamagedFileError
from service.web.read_model.decision_rows import DecisionRows
from service.web.read_model.pool_rows import PoolRows
from service.web.read_model.tallies import Tallies, seeds_among
from service.web.read_model.task_rows import TaskRows

_BOOKMARK = "bookmark"
_SET_FACT = "INSERT INTO facts VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"

Placed = tuple[Record, Message]


def saved_bookmark(connection: sqlite3.Connection) -> Bookmark | None:
    """Return the place on the log behind the records in the tables, `None` if they are empty.

    Raises:
        DamagedFileError: it cannot be read.
    """
    found = connection.execute("SELECT value FROM facts WHERE name = ?", (_BOOKMARK,)).fetchone()
    if found is None:
        return None
    try:
        return Bookmark.of_json(msgspec.json.decode(found[0]))
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise DamagedFileError(f"expected a place on the log, got {found[0]!r}") from error


class Ingest:
    """Adds records to the tables. Its memory belongs to one state of them: after an error, make another one."""

    def __init__(self, connection: sqlite3.Connection, language: Language) -> None:
        self.pool = PoolRows(language)
        self.tasks = TaskRows()
        self._decisions = DecisionRows()
        self._tallies = Tallies()
        self._answered: set[int] = set()
        self._rows: dict[str, list[tuple[Any, ...]]] = {statement: [] for statement in _STATEMENTS}
        for each in (self.pool, self.tasks, self._decisions):
            each.restore(connection)

    def apply(self, connection: sqlite3.Connection, batch: Sequence[Placed], bookmark: Bookmark) -> None:
        """Add a batch in the open transaction; `bookmark` is the place behind it."""
        self._tallies, self._answered = Tallies(), set()
        for record, message in batch:
            take = self._TAKE.get(type(message))
            if take is not None:
                take(self, connection, record, message)
        self.pool.write(connection, self._tallies)
        self.tasks.write(connection)
        self._decisions.write(connection)
        for statement, rows in self._rows.items():
            connection.executemany(statement, rows)
            rows.clear()
        self._tallies.write(connection)
        connection.execute(_SET_FACT, (_BOOKMARK, msgspec.json.encode(bookmark.as_json()).decode()))

    def _pooled(self, _: sqlite3.Connection, record: Record, task: PooledTask) -> None:
        self.pool.add(record, task, self._tallies)

    def _finished(self, _: sqlite3.Connection, record: Record, task: FinishedTask) -> None:
        self.tasks.add(record, task, self._tallies)

    def _decided(self, _: sqlite3.Connection, record: Record, decision: Decision) -> None:
        self._decisions.add(record, decision)

    def _prompted(self, _: sqlite3.Connection, record: Record, prompt: Prompt) -> None:
        self._rows[_INSERT_PROMPT].append((prompt.seq, record.partition.number, record.offset))
        self._rows[_INSERT_SHOWN] += [(prompt.seq, place, each) for place, each in enumerate(prompt.demonstrations)]

    def _answer(self, connection: sqlite3.Connection, record: Record, answer: Answer | FailedPrompt) -> None:
        """Take in the first answer to a prompt; a repeated one has a cost alone."""
        self._tallies.paid(record.timestamp_ms, answer)
        prompt = answer.prompt_seq
        if prompt in self._answered or connection.execute(_IS_ANSWERED, (prompt,)).fetchone() is not None:
            return
        self._answered.add(prompt)
        self._rows[_INSERT_ANSWER].append((prompt, record.offset))
        if isinstance(answer, Answer):
            self._rows[_INSERT_CANDIDATE] += [(prompt, each.position, each.instruction) for each in answer.candidates]
            for seed in seeds_among(answer.demonstrations):
                self._tallies.prompts[seed] += 1
                self._tallies.candidates[seed] += len(answer.candidates)

    def _classified(self, _: sqlite3.Connection, record: Record, message: ClassifiedInstruction) -> None:
        self._tallies.paid(record.timestamp_ms, message)
        self._rows[_INSERT_CLASSIFIED].append((message.pool_seq, record.partition.number, record.offset))

    def _completed(self, _: sqlite3.Connection, record: Record, message: TaskInstances) -> None:
        self._tallies.paid(record.timestamp_ms, message)
        self._rows[_INSERT_COMPLETED].append((message.pool_seq, record.offset))

    def _dropped(self, _: sqlite3.Connection, record: Record, message: CallsDropped) -> None:
        self._tallies.paid(record.timestamp_ms, message)

    _TAKE: Mapping[type[Message], Callable[..., None]] = {
        PooledTask: _pooled,
        FinishedTask: _finished,
        Decision: _decided,
        Prompt: _prompted,
        Answer: _answer,
        FailedPrompt: _answer,
        ClassifiedInstruction: _classified,
        TaskInstances: _completed,
        CallsDropped: _dropped,
    }


_IS_ANSWERED = "SELECT 1 FROM answers WHERE prompt = ?"
_INSERT_PROMPT = "INSERT OR IGNORE INTO prompts VALUES (?, ?, ?)"
_INSERT_SHOWN = "INSERT OR IGNORE INTO shown VALUES (?, ?, ?)"
_INSERT_ANSWER = "INSERT OR IGNORE INTO answers VALUES (?, ?)"
_INSERT_CANDIDATE = "INSERT OR IGNORE INTO candidates VALUES (?, ?, ?)"
_INSERT_CLASSIFIED = "INSERT OR IGNORE INTO classified VALUES (?, ?, ?)"
_INSERT_COMPLETED = "INSERT OR IGNORE INTO completed VALUES (?, ?)"
_STATEMENTS = (
    _INSERT_PROMPT,
    _INSERT_SHOWN,
    _INSERT_ANSWER,
    _INSERT_CANDIDATE,
    _INSERT_CLASSIFIED,
    _INSERT_COMPLETED,
)
