"""Millions of texts whose vocabulary grows as that of real text does.

Heaps' law: n tokens have K n^β different words. Real instructions (18,291 of them: role play, tool use, grade-school
mathematics) have K = 14.1 and β = 0.522. A corpus grows by Simon's process (1955). Each step adds a new word at the
rate of Heaps' law, or else a copy of the word at some earlier place. So words keep their shares, and Zipf's law
follows. A copy goes on for a few words, so that phrases recur. A corpus starts with real texts if there are any.
"""

import gzip
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import orjson

from service.selfinstruct.similarity import ROUGE

# The mean number of words in a copy.
_PHRASE = 4.0
# Lengths are log-normal: the mean and the deviation of the logarithm. They are cut where the recipes cut.
_LOG_LENGTH = (3.73, 0.37)
_SHORTEST, _LONGEST = 4, 150
# The law is fitted from this number of tokens on. Below it, the first texts dominate.
_FITTED_FROM = 5_000
_STEP = 1.2


@dataclass(frozen=True, slots=True)
class Heaps:
    """Heaps' law: n tokens have `factor` n^`exponent` different words (Heaps 1978, section 7.5)."""

    factor: float
    exponent: float

    @classmethod
    def fit(cls, texts: Sequence[Sequence[str]]) -> Self:
        """Return the law that fits these texts, by least squares on logarithms."""
        seen: set[str] = set()
        tokens, at, points = 0, float(_FITTED_FROM), []
        for text in texts:
            seen.update(text)
            tokens += len(text)
            if tokens >= at:
                points.append((tokens, len(seen)))
                at *= _STEP
        counted, different = np.log(np.array(points, float)).T
        exponent, intercept = np.polyfit(counted, different, 1)
        return cls(float(np.exp(intercept)), float(exponent))

    def words(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return how many different words a number of tokens has."""
        return np.floor(self.factor * tokens.astype(float) ** self.exponent).astype(np.int64)


REAL = Heaps(14.1, 0.522)


class Corpus:
    """Texts by number: real texts first, if there are any, then grown ones. The same seed gives the same texts."""

    def __init__(self, count: int, real: Sequence[str], seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        tokens = [ROUGE.tokens(text) for text in real]
        self.real = len(tokens)
        self.law = Heaps.fit(tokens) if tokens else REAL
        codes: dict[str, int] = {}
        first = np.array([codes.setdefault(token, len(codes)) for text in tokens for token in text], np.int64)
        lengths = np.array([len(text) for text in tokens], np.int64)
        more = max(0, count - len(lengths))
        grown = rng.choice(lengths, more) if len(lengths) else _lengths(rng, more)
        self._starts = np.concatenate([[0], np.cumsum(np.concatenate([lengths, grown]))])
        self._codes = _grown(first, len(codes), int(self._starts[-1]), self.law, rng)
        self._words = [*codes, *(f"w{code}" for code in range(len(codes), int(self._codes.max()) + 1))]

    def __len__(self) -> int:
        return len(self._starts) - 1

    def tokens(self, number: int) -> list[str]:
        """Return a text's tokens."""
        return [self._words[code] for code in self._codes[self._starts[number] : self._starts[number + 1]].tolist()]

    def text(self, number: int) -> str:
        """Return a text."""
        return " ".join(self.tokens(number))

    def grown_law(self) -> Heaps:
        """Return the law that the whole corpus follows at its end."""
        return Heaps.fit([self.tokens(number) for number in range(min(len(self), 200_000))])


def edited(tokens: Sequence[str], others: Sequence[str], rng: random.Random) -> str:
    """Return a variation of a text: up to 60 % of its words are dropped or replaced with words of another text."""
    share = rng.uniform(0.0, 0.6)
    return " ".join(rng.choice((word, rng.choice(others), "")) if rng.random() < share else word for word in tokens)


def real_texts(path: Path | None) -> list[str]:
    """Return the field `instruction` of each line of a JSON Lines file (.gz or not), shuffled. Empty without a file."""
    if path is None:
        return []
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except OSError as error:
        sys.exit(f"--text: expected a file that can be read: {error}")
    texts = [_instruction(line, f"{path}:{number}") for number, line in enumerate(raw.splitlines(), 1)]
    random.Random("real texts").shuffle(texts)  # noqa: S311 - an order
    return texts


def _instruction(line: bytes, place: str) -> str:
    try:
        text = orjson.loads(line)["instruction"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        text = None
    if not isinstance(text, str):
        sys.exit(f'{place}: expected {{"instruction": "…"}}, got {line[:60]!r}')
    return text


def _lengths(rng: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
    return np.clip(rng.lognormal(*_LOG_LENGTH, count), _SHORTEST, _LONGEST).astype(np.int64)


def _grown(
    first: npt.NDArray[np.int64], words: int, count: int, law: Heaps, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return the codes of `count` tokens, beginning with the given ones, with a given number of different words."""
    begun = len(first)
    places = np.arange(count)
    known = np.maximum(np.minimum(law.words(places + 1), places + 1), words)
    new = np.diff(known, prepend=words if begun else 0) > 0
    new[:begun] = False
    begins = rng.random(count) < 1 / _PHRASE
    begins[begun : begun + 1] = True
    starts = np.flatnonzero(begins[begun:]) + begun
    sources = (rng.random(len(starts)) * np.maximum(starts, 1)).astype(np.int64)
    phrase = np.cumsum(begins[begun:]) - 1
    copied = places.copy()
    copied[begun:] = sources[phrase] + (places[begun:] - starts[phrase])
    copied[new] = places[new]
    while True:  # a copy of a copy has the source of that copy: each step halves the way
        further = copied[copied]
        if np.array_equal(further, copied):
            break
        copied = further
    codes = np.zeros(count, np.int64)
    codes[:begun] = first
    codes[new] = words + np.arange(int(new.sum()))
    return codes[copied]
