"""Questions for verdicts on candidates, and for seeds with what came of them."""

import sqlite3
from typing import Any

import msgspec

from service.selfinstruct.tasks import SeedTask
from service.web.read_model.answers import DecisionPage, Seed, SeedPage, Verdict
from service.web.read_model.decision_rows import ACCEPTED

MAX_VERDICTS = 500
MAX_SEEDS = 500
_VERDICTS = """
SELECT verdicts.row, verdicts.prompt, verdicts.position, candidates.instruction, reason,
    verdicts.nearest, pool.instruction, verdicts.score, timestamp_ms
FROM verdicts
JOIN decisions ON decisions.row = verdicts.decision
LEFT JOIN candidates ON candidates.prompt = verdicts.prompt AND candidates.position = verdicts.position
LEFT JOIN pool ON pool.id = verdicts.nearest
"""
_LATEST = f"{_VERDICTS} WHERE verdicts.row < ?1 ORDER BY verdicts.row DESC LIMIT ?2"
_LATEST_OF_REASON = f"{_VERDICTS} WHERE reason = ?3 AND verdicts.row < ?1 ORDER BY verdicts.row DESC LIMIT ?2"
_OF_PROMPT = f"{_VERDICTS} WHERE verdicts.prompt = ? ORDER BY verdicts.row"
_UNDECIDED = """
SELECT position, instruction FROM candidates
WHERE prompt = ?1 AND position NOT IN (SELECT position FROM verdicts WHERE prompt = ?1) ORDER BY position
"""
_SEEDS = """
SELECT pool_seq, seed, prompts, candidates, accepted, finished
FROM pool LEFT JOIN yields ON yields.id = pool.id
WHERE origin = 'human' AND seed IS NOT NULL AND pool_seq > ? ORDER BY pool_seq LIMIT ?
"""


def find_verdicts(connection: sqlite3.Connection, reason: str | None, after: int | None, limit: int) -> DecisionPage:
    """Return verdicts, the latest first, from behind the cursor `after` on; `accepted` is a reason here."""
    limit = max(1, min(limit, MAX_VERDICTS))
    before = 2**62 if after is None else after
    sql, chosen = (_LATEST, ()) if reason is None else (_LATEST_OF_REASON, (reason,))
    rows = connection.execute(sql, (before, limit + 1, *chosen)).fetchall()
    cursor = rows[limit - 1][0] if len(rows) > limit else None
    return DecisionPage(verdicts=tuple(map(_verdict, rows[:limit])), next=cursor)


def verdicts_of(connection: sqlite3.Connection, prompt: int) -> tuple[Verdict, ...]:
    """Return all candidates of a prompt, with the verdicts so far."""
    decided = [_verdict(row) for row in connection.execute(_OF_PROMPT, (prompt,))]
    undecided = [
        Verdict(id=f"p{prompt}.{position}", instruction=instruction)
        for position, instruction in connection.execute(_UNDECIDED, (prompt,))
    ]
    return (*decided, *undecided)


def find_seeds(connection: sqlite3.Connection, after: int | None, limit: int) -> SeedPage:
    """Return seeds in the order of the pool, from behind the cursor `after` on."""
    limit = max(1, min(limit, MAX_SEEDS))
    rows = connection.execute(_SEEDS, (-1 if after is None else after, limit + 1)).fetchall()
    (total,) = connection.execute("SELECT count(*) FROM pool WHERE origin = 'human'").fetchone()
    cursor = rows[limit - 1][0] if len(rows) > limit else None
    return SeedPage(seeds=tuple(map(_seed, rows[:limit])), next=cursor, total=total)


def _verdict(row: tuple[Any, ...]) -> Verdict:
    _, prompt, position, instruction, reason, nearest, nearest_instruction, score, decided_ms = row
    return Verdict(
        id=f"p{prompt}.{position}",
        instruction=instruction,
        reason=None if reason == ACCEPTED else reason,
        nearest=nearest,
        nearest_instruction=nearest_instruction,
        score=score,
        decided_ms=decided_ms,
    )


def _seed(row: tuple[Any, ...]) -> Seed:
    pool_seq, value, *counts = row
    prompts, candidates, accepted, finished = (count or 0 for count in counts)
    task = msgspec.json.decode(value, type=SeedTask)
    return Seed(
        id=task.id,
        pool_seq=pool_seq,
        instruction=task.instruction,
        instances=task.instances,
        is_classification=task.is_classification,
        prompts=prompts,
        candidates=candidates,
        accepted=accepted,
        finished=finished,
    )
