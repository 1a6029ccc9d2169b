"""Rows of the pool, with the nearest earlier task of each, and the diversity of machine-written instructions."""

import sqlite3
from array import array
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import msgspec

from service.messaging.broker import Record
from service.messaging.ids import numbers_of
from service.messaging.messages import Origin, PooledTask
from service.selfinstruct.recipe import Language
from service.selfinstruct.similarity import TOKENIZERS, SimilarityIndex
from service.selfinstruct.unicode_words import count_words
from service.web.read_model.answers import MAX_KNOWN_DISTANCE
from service.web.read_model.tallies import Tallies, seeds_among

SEED_SCORE_BINS = 20
# Longer instructions are counted as this long.
LONGEST_WORDS = 500
_LONGEST_WORD = 64
_INSERT = "INSERT OR IGNORE INTO pool VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_SHOWN = "INSERT OR IGNORE INTO shown VALUES (?, ?, ?)"
_TOO_LATE = "UPDATE tasks SET distance = 1.0 - ?1 WHERE pool_seq = ?2"


class PoolRows:
    """Takes in the tasks of the pool, in its order, and finds the nearest earlier task of each.

    One thread adds; any may search. `index` has all tasks that were taken in, at the places of `pool_seqs`.
    """

    def __init__(self, language: Language) -> None:
        self.language = language
        tokenizer = TOKENIZERS[language]
        self.index = SimilarityIndex(1.0 - MAX_KNOWN_DISTANCE, tokenizer=tokenizer)
        self.pool_seqs = array("q")
        self._seeds = SimilarityIndex(0.0, tokenizer=tokenizer)
        self._rows: list[tuple[Any, ...]] = []
        self._shown: list[tuple[int, int, str]] = []
        self._bigrams: list[tuple[int]] = []

    def restore(self, connection: sqlite3.Connection) -> None:
        """Fill the index with the tasks in the table."""
        found = connection.execute("SELECT pool_seq, origin, instruction FROM pool ORDER BY pool_seq")
        for pool_seq, origin, instruction in found:
            self._remember(pool_seq, instruction, is_seed=origin == Origin.HUMAN)
        self.index.settle()

    def add(self, record: Record, task: PooledTask, tallies: Tallies) -> None:
        """Take in a task."""
        match = self.index.nearest(task.instruction)
        near = (None, None) if match is None else (self.pool_seqs[match.position], match.score)
        numbers = numbers_of(task.id) if task.origin is Origin.MACHINE else None
        prompt = None if numbers is None else numbers[0]
        seed = None if task.seed is None else msgspec.json.encode(task.seed)
        facts = (task.pool_seq, task.id, task.origin, task.instruction, prompt, task.depth)
        self._rows.append((*facts, *near, record.offset, seed))
        if task.origin is Origin.MACHINE:
            self._count(task.instruction, tallies)
        if task.provenance is not None:
            tallies.accepted.update(seeds_among(task.provenance.parents))
            if prompt is not None:
                self._shown += [(prompt, place, each) for place, each in enumerate(task.provenance.parents)]
        self._remember(task.pool_seq, task.instruction, is_seed=task.origin is Origin.HUMAN)

    def write(self, connection: sqlite3.Connection, tallies: Tallies) -> None:
        """Add the rows to the tables."""
        connection.executemany(_INSERT, self._rows)
        connection.executemany(_INSERT_SHOWN, self._shown)
        connection.executemany(_TOO_LATE, [(row[7], row[0]) for row in self._rows if row[7] is not None])
        added = connection.executemany("INSERT OR IGNORE INTO bigrams VALUES (?)", self._bigrams).rowcount
        tallies.bins["distinct_bigrams", 0] += max(added, 0)
        tallies.bins["bigrams", 0] += len(self._bigrams)
        self._rows, self._shown, self._bigrams = [], [], []

    def _remember(self, pool_seq: int, instruction: str, *, is_seed: bool) -> None:
        self.index.add(instruction)
        self.pool_seqs.append(pool_seq)
        if is_seed:
            self._seeds.add(instruction)

    def _count(self, instruction: str, tallies: Tallies) -> None:
        """Count a machine-written instruction for the diversity of the pool."""
        tallies.bins["instructions", 0] += 1
        if len(self._seeds):
            match = self._seeds.nearest(instruction)
            score = 0.0 if match is None else match.score
            tallies.bins["seed_score", min(int(score * SEED_SCORE_BINS), SEED_SCORE_BINS - 1)] += 1
        is_english = self.language is Language.EN
        words = len(instruction.split()) if is_english else round(count_words(instruction))
        tallies.bins["words", min(words, LONGEST_WORDS)] += 1
        tokens = self.index.tokenizer.tokens(instruction)
        if tokens:
            tallies.first_words[tokens[0][:_LONGEST_WORD]] += 1
        self._bigrams += [(_digest(f"{one} {other}"),) for one, other in pairwise(tokens)]


def _digest(text: str) -> int:
    """Return a number for a text that fits into an integer of SQLite."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), signed=True)
