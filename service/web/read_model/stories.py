"""The story of a task, candidate, seed or prompt: the facts of `seedstream explain`, and its relations."""

import sqlite3
from bisect import bisect_left
from typing import Any

import msgspec
from anyio import to_thread
from msgspec import Struct

from service.errors import ConfigurationError, DecodeError
from service.messaging import codec, topics
from service.messaging.broker import Broker, Partition
from service.messaging.ids import numbers_of, seq_of
from service.messaging.messages import Call, FailedCall, FinishedTask, Origin
from service.messaging.topics import by_name
from service.run.lineage import Evidence
from service.selfinstruct.tasks import Instance
from service.web.read_model.answers import Comparison, Graph, SemanticComparison, Story, StoryState, Verdict
from service.web.read_model.common_words import common_words
from service.web.read_model.database import Database
from service.web.read_model.graph_queries import ancestors_of, descendants_of
from service.web.read_model.log_places import Place, records_at
from service.web.read_model.pool_rows import PoolRows
from service.web.read_model.verdict_queries import verdicts_of

_TOPICS = by_name(topics.PROMPTS, topics.CANDIDATES, topics.DECISIONS, topics.POOL, topics.CLASSIFIED, topics.INSTANCES)
_POOLED = "SELECT pool_seq, prompt, nearest, score, offset FROM pool WHERE id = ?"


class _Told(Struct):
    """The parts of a story that the tables have, and the places of the others on the log."""

    prompt: int | None
    pool_seq: int | None
    near: tuple[int, float] | None
    places: list[Place]
    finished: bytes | None
    finished_ms: int | None
    siblings: tuple[Verdict, ...]
    ancestors: Graph
    descendants: Graph


class Stories:
    """Tells stories from the tables and the log of a run."""

    def __init__(self, broker: Broker, run: str, database: Database) -> None:
        self._broker = broker
        self._run = run
        self._database = database

    async def tell(self, name: str, pool: PoolRows | None) -> Story | None:
        """Return the story of an id, `None` if nothing on the log has it; `pool` compares it."""
        told = await self._database.read(lambda connection: self._look_up(connection, name))
        evidence = await self._gather(name, told)
        try:
            facts = evidence.facts()
        except ConfigurationError:
            return None
        nearest = await self._nearest(facts, told, pool)
        semantic = facts["nearest_in_meaning"]
        if semantic is not None:
            semantic["instruction"] = await self._database.read(lambda each: _text(each, semantic["id"]))
        return _story(facts, told, evidence, nearest)

    def _look_up(self, connection: sqlite3.Connection, name: str) -> _Told:
        pooled = connection.execute(_POOLED, (name,)).fetchone()
        pool_seq, prompt, nearest, score, offset = pooled or (None,) * 5
        numbers = numbers_of(name)
        if prompt is None:
            prompt = numbers[0] if numbers is not None else seq_of(name)
        places = [] if offset is None else [self._place(topics.POOL.name, 0, offset)]
        places += self._places(connection, prompt, pool_seq)
        finished = connection.execute(_FINISHED, (name,)).fetchone()
        return _Told(
            prompt=prompt,
            pool_seq=pool_seq,
            near=None if nearest is None or score is None else (nearest, score),
            places=places,
            finished=finished and finished[0],
            finished_ms=finished and finished[1],
            siblings=() if prompt is None else verdicts_of(connection, prompt),
            ancestors=ancestors_of(connection, name, prompt),
            descendants=descendants_of(connection, name),
        )

    def _places(self, connection: sqlite3.Connection, prompt: int | None, pool_seq: int | None) -> list[Place]:
        asked = [(topic, sql, prompt if is_prompt else pool_seq) for topic, sql, is_prompt in _PLACES]
        rows = [(topic, connection.execute(sql, (key,)).fetchone()) for topic, sql, key in asked if key is not None]
        return [self._place(topic, *row) for topic, row in rows if row is not None]

    def _place(self, topic: str, number: int, offset: int) -> Place:
        return Partition(_TOPICS[topic].of(self._run), number), offset

    async def _gather(self, name: str, told: _Told) -> Evidence:
        numbers = numbers_of(name)
        prompt_id = name if told.prompt is None else f"p{told.prompt}"
        evidence = Evidence(name, prompt_id, None if numbers is None else numbers[1])
        by_topic = {topic.of(self._run): topic for topic in _TOPICS.values()}
        for record in await records_at(self._broker, told.places):
            try:
                evidence.apply(codec.decode(by_topic[record.partition.topic], record))
            except DecodeError:
                continue
        if told.finished is not None:
            evidence.finished = msgspec.json.decode(told.finished, type=FinishedTask)
        return evidence

    async def _nearest(self, facts: dict[str, Any], told: _Told, pool: PoolRows | None) -> Comparison | None:
        """Return the task that a verdict names, or else the nearest task before one of the pool."""
        text, found = facts["instruction"], facts["nearest"]
        if text is None or pool is None:
            return None
        if found is not None:
            name, score = found["id"], found["score"]
            other = await self._database.read(lambda connection: _text(connection, name))
        else:
            near = told.near
            if near is None and told.pool_seq is not None:
                near = await to_thread.run_sync(_nearest_before, pool, told.pool_seq, text)
            if near is None:
                return None
            pool_seq, score = near
            name, other = await self._database.read(lambda connection: _named(connection, pool_seq))
        spans = await to_thread.run_sync(common_words, pool.language, text, other or "")
        return Comparison(id=name, instruction=other, score=score, own=spans[0], nearest=spans[1])


# Topics, questions for partition and offset, and whether these are about a prompt or about a task of the pool.
_PLACES = (
    (topics.PROMPTS.name, "SELECT partition, offset FROM prompts WHERE prompt = ?", True),
    (topics.CANDIDATES.name, "SELECT 0, offset FROM answers WHERE prompt = ?", True),
    (topics.DECISIONS.name, "SELECT 0, offset FROM decisions WHERE prompt = ?", True),
    (topics.CLASSIFIED.name, "SELECT partition, offset FROM classified WHERE pool_seq = ?", False),
    (topics.INSTANCES.name, "SELECT 0, offset FROM completed WHERE pool_seq = ?", False),
)
_FINISHED = "SELECT value, timestamp_ms FROM tasks JOIN task_values USING (row) WHERE id = ?"


def _text(connection: sqlite3.Connection, name: str) -> str | None:
    found = connection.execute("SELECT instruction FROM pool WHERE id = ?", (name,)).fetchone()
    return None if found is None else str(found[0])


def _named(connection: sqlite3.Connection, pool_seq: int) -> tuple[str, str]:
    found = connection.execute("SELECT id, instruction FROM pool WHERE pool_seq = ?", (pool_seq,)).fetchone()
    return (f"#{pool_seq}", "") if found is None else found


def _nearest_before(pool: PoolRows, pool_seq: int, text: str) -> tuple[int, float] | None:
    """Return the nearest task before one of the pool and its score, by a comparison with all of them."""
    found = pool.index.full_scan(text, 1, before=bisect_left(pool.pool_seqs, pool_seq)).matches
    return (pool.pool_seqs[found[0].position], found[0].score) if found else None


def _story(facts: dict[str, Any], told: _Told, evidence: Evidence, nearest: Comparison | None) -> Story:
    calls = msgspec.convert(facts["calls"], dict[str, Call])
    pooled = evidence.pool.get(evidence.id)
    seed = pooled.seed if pooled is not None else None
    return Story(
        id=facts["id"],
        state=StoryState(facts["state"]),
        instruction=facts["instruction"],
        instances=seed.instances if seed is not None else msgspec.convert(facts["instances"], tuple[Instance, ...]),
        is_classification=seed.is_classification if seed is not None else facts["is_classification"],
        origin=pooled.origin if pooled is not None else None if told.prompt is None else Origin.MACHINE,
        depth=facts["depth"],
        topic=facts["topic"],
        reason=facts["reason"],
        dropped=facts["dropped"],
        failure=facts["failure"],
        recipe=facts["recipe"],
        templates=facts["templates"],
        prompt_id=None if told.prompt is None else f"p{told.prompt}",
        system=facts.get("system"),
        prompt=facts["prompt"],
        completion=calls["generate"].completion if "generate" in calls else None,
        siblings=told.siblings,
        nearest=nearest,
        nearest_in_meaning=msgspec.convert(facts["nearest_in_meaning"], SemanticComparison | None),
        ancestors=told.ancestors,
        descendants=told.descendants,
        calls=calls,
        failed_calls=msgspec.convert(facts["failed_calls"], dict[str, FailedCall]),
        cost_usd=facts["cost_usd"],
        finished_ms=told.finished_ms,
    )
