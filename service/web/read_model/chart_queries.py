"""Questions of charts: series over time, and the diversity of the pool."""

import sqlite3
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import msgspec

from service.billing.totals import usd_of
from service.web.read_model.chart_answers import (
    AcceptancePoint,
    Bin,
    CostPoint,
    Diversity,
    Points,
    PoolPoint,
    RejectionPoint,
    SeriesName,
    WordCount,
)
from service.web.read_model.pool_rows import SEED_SCORE_BINS

MAX_POINTS = 1_000
_FIRST_WORDS = 30
_WORDS_PER_BIN = 5
_REASONS_AT = "SELECT reasons FROM decisions WHERE latest_ms <= ? ORDER BY latest_ms DESC, row DESC LIMIT 1"
_SECONDS = """
SELECT max(second), sum(picodollars), sum(unpriced), sum(finished) FROM seconds
GROUP BY (second - ?) / ? ORDER BY 1
"""


def find_series(connection: sqlite3.Connection, name: SeriesName, points: int) -> Points:
    """Return about this many points of a series, at most, in order of time; the last one is the current state."""
    return _SERIES[name](connection, max(1, min(points, MAX_POINTS)))


def find_diversity(connection: sqlite3.Connection) -> Diversity:
    """Return how much the machine-written instructions of the pool differ."""
    counts: dict[str, dict[int, int]] = {}
    for name, place, count in connection.execute("SELECT name, bin, count FROM bins"):
        counts.setdefault(name, {})[place] = count
    totals = {name: counts.get(name, {}).get(0, 0) for name in ("instructions", "bigrams", "distinct_bigrams")}
    scores = counts.get("seed_score", {})
    first = connection.execute("SELECT word, count FROM first_words ORDER BY count DESC, word LIMIT ?", (_FIRST_WORDS,))
    return Diversity(
        instructions=totals["instructions"],
        seed_scores=tuple(
            Bin(low=place / SEED_SCORE_BINS, high=(place + 1) / SEED_SCORE_BINS, count=scores.get(place, 0))
            for place in range(SEED_SCORE_BINS)
        ),
        words=_word_bins(counts.get("words", {})),
        first_words=tuple(WordCount(word=word, count=count) for word, count in first),
        bigrams=totals["bigrams"],
        distinct_bigrams=totals["distinct_bigrams"] / totals["bigrams"] if totals["bigrams"] else None,
    )


def _word_bins(counts: Mapping[int, int]) -> tuple[Bin, ...]:
    """Return the histogram of lengths, up to the longest."""
    columns = [0] * (max(counts, default=-1) // _WORDS_PER_BIN + 1)
    for words, count in counts.items():
        columns[words // _WORDS_PER_BIN] += count
    return tuple(
        Bin(low=place * _WORDS_PER_BIN, high=(place + 1) * _WORDS_PER_BIN, count=count)
        for place, count in enumerate(columns)
    )


def _rejections(connection: sqlite3.Connection, points: int) -> list[RejectionPoint]:
    first, last = connection.execute("SELECT min(latest_ms), max(latest_ms) FROM decisions").fetchone()
    if first is None:
        return []
    times = dict.fromkeys(first + (last - first) * place // points for place in range(1, points + 1))
    counts = [(at, _reasons_at(connection, at)) for at in times]
    reasons = sorted(counts[-1][1])
    return [
        RejectionPoint(at_ms=at, reason=reason, rejected=found.get(reason, 0))
        for at, found in counts
        for reason in reasons
    ]


def _reasons_at(connection: sqlite3.Connection, at_ms: int) -> dict[str, int]:
    (reasons,) = connection.execute(_REASONS_AT, (at_ms,)).fetchone()
    return msgspec.json.decode(reasons, type=dict[str, int])


def _decisions(connection: sqlite3.Connection, points: int) -> list[tuple[Any, ...]]:
    """Return time, judged and accepted candidates and size of the pool after decisions at even distances."""
    (last,) = connection.execute("SELECT coalesce(max(row), 0) FROM decisions").fetchone()
    rows = dict.fromkeys(-(-last * place // points) for place in range(1, points + 1))
    sql = "SELECT latest_ms, judged, accepted, pool_size FROM decisions WHERE row = ?"
    return [found for row in rows if (found := connection.execute(sql, (row,)).fetchone()) is not None]


def _acceptance(connection: sqlite3.Connection, points: int) -> list[AcceptancePoint]:
    found = [(0, 0, 0, 0), *_decisions(connection, points)]
    return [
        AcceptancePoint(at_ms=at_ms, judged=judged, share=(accepted - accepted_before) / (judged - judged_before))
        for (_, judged_before, accepted_before, _), (at_ms, judged, accepted, _) in pairwise(found)
        if judged > judged_before
    ]


def _pool(connection: sqlite3.Connection, points: int) -> list[PoolPoint]:
    return [
        PoolPoint(at_ms=at_ms, judged=judged, size=size) for at_ms, judged, _, size in _decisions(connection, points)
    ]


def _cost(connection: sqlite3.Connection, points: int) -> list[CostPoint]:
    first, last = connection.execute("SELECT min(second), max(second) FROM seconds").fetchone()
    if first is None:
        return []
    width = (last - first) // points + 1
    found, cost, unpriced, finished = list[CostPoint](), 0, 0, 0
    for second, *added in connection.execute(_SECONDS, (first, width)):
        cost, unpriced, finished = cost + added[0], unpriced + added[1], finished + added[2]
        found.append(CostPoint(at_ms=second * 1_000, finished=finished, cost_usd=usd_of(cost), unpriced=unpriced))
    return found


_SERIES: Mapping[SeriesName, Callable[[sqlite3.Connection, int], Points]] = {
    SeriesName.REJECTIONS: _rejections,
    SeriesName.ACCEPTANCE: _acceptance,
    SeriesName.POOL: _pool,
    SeriesName.COST: _cost,
}
