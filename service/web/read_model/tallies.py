"""Sums that a batch of records adds to, collected in memory and added to the tables at its end."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeVar

from service.billing.totals import picos_of
from service.messaging.ids import numbers_of
from service.messaging.messages import Call, FailedCall, Message

K = TypeVar("K")

_ADD_YIELD = """
INSERT INTO yields VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    prompts = prompts + excluded.prompts, candidates = candidates + excluded.candidates,
    accepted = accepted + excluded.accepted, finished = finished + excluded.finished
"""
_ADD_SECOND = """
INSERT INTO seconds VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    picodollars = picodollars + excluded.picodollars, unpriced = unpriced + excluded.unpriced,
    finished = finished + excluded.finished
"""
_ADD_BIN = "INSERT INTO bins VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"
_ADD_FIRST_WORD = "INSERT INTO first_words VALUES (?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"


class Tallies:
    """Counts by name that one batch adds: of seeds, of seconds, of bins of histograms and of first words."""

    def __init__(self) -> None:
        self.prompts: Counter[str] = Counter()
        self.candidates: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()
        self.finished: Counter[str] = Counter()
        self.bins: Counter[tuple[str, int]] = Counter()
        self.first_words: Counter[str] = Counter()
        self._picodollars: Counter[int] = Counter()
        self._unpriced: Counter[int] = Counter()
        self._finished_at: Counter[int] = Counter()

    def task_finished(self, timestamp_ms: int, parents: Iterable[str]) -> None:
        """Count a finished task."""
        self._finished_at[timestamp_ms // 1_000] += 1
        for seed in seeds_among(parents):
            self.finished[seed] += 1

    def paid(self, timestamp_ms: int, message: Message) -> None:
        """Count the cost of the calls that a message tells of."""
        second = timestamp_ms // 1_000
        for cost_usd in _costs(message):
            picodollars = picos_of(cost_usd)
            if picodollars is None:
                self._unpriced[second] += 1
            else:
                self._picodollars[second] += picodollars

    def write(self, connection: sqlite3.Connection) -> None:
        """Add the counts to the tables."""
        seeds = (self.prompts, self.candidates, self.accepted, self.finished)
        connection.executemany(_ADD_YIELD, [(name, *(each[name] for each in seeds)) for name in _keys(seeds)])
        times = (self._picodollars, self._unpriced, self._finished_at)
        connection.executemany(_ADD_SECOND, [(second, *(each[second] for each in times)) for second in _keys(times)])
        connection.executemany(_ADD_BIN, [(*name, count) for name, count in self.bins.items()])
        connection.executemany(_ADD_FIRST_WORD, list(self.first_words.items()))


def seeds_among(ids: Iterable[str]) -> list[str]:
    """Return the ids that are not those of machine tasks."""
    return [each for each in ids if numbers_of(each) is None]


def _keys(counters: Iterable[Counter[K]]) -> list[K]:
    return list(dict.fromkeys(key for counter in counters for key in counter))


def _costs(message: Message) -> Iterator[float | None]:
    """Yield the cost of the call that a message tells of; a failed call without reported usage is left out."""
    call: Call | None = getattr(message, "call", None)
    spent: FailedCall | None = getattr(message, "spent", None)
    if call is not None:
        yield call.cost_usd
    elif spent is not None and spent.wasted is not None:
        yield spent.cost_usd
