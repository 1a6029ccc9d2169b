"""ROUGE-L against a pool of texts: exact verdicts and scores, bit-equal with the package `rouge_score` (no stemming).

A text above the threshold t must have LCS > t (m + n) / 2, for m and n tokens. LCS is at most m, n and the number of
the query's tokens that the text holds, which postings count quickly; only what passes that bound is compared.
"""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rapidfuzz import process
from rapidfuzz.distance import LCSseq
from rouge_score.tokenize import tokenize

from service.selfinstruct.vocabulary import Vocabulary

# Far more than the rounding error of the bound, far less than one token.
_MARGIN = 1e-6
# The share of the smallest sufficient LCS that the commonest tokens, whose postings are long, may add uncounted.
_UNCOUNTED = 2 / 3


@dataclass(frozen=True, slots=True)
class Match:
    """A text of an index, by its position from 0, and its ROUGE-L F-measure (0 … 1) with the text asked about."""

    position: int
    score: float


@dataclass(frozen=True, slots=True)
class Survey:
    """How a text compares with a whole index: the nearest texts, best first, and the mean score (0 if it is empty)."""

    matches: tuple[Match, ...]
    mean: float


def rouge_l(one: Sequence[str], other: Sequence[str]) -> float:
    """Return the ROUGE-L F-measure of two token sequences, 0 … 1 (Lin 2004; `rouge_scorer._score_lcs`)."""
    vocabulary = Vocabulary()
    lcs = LCSseq.similarity(vocabulary.learn(one), vocabulary.encode(other))
    if lcs == 0:
        return 0.0
    precision, recall = lcs / len(other), lcs / len(one)
    return 2 * precision * recall / (precision + recall)


class SimilarityIndex:
    """Texts that can be asked which of them is nearest; it only grows, and questions leave it as it is."""

    def __init__(self) -> None:
        self._vocabulary = Vocabulary()
        self._texts: list[str] = []
        self._lengths = array("i")
        self._postings: dict[str, array[int]] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, text: str) -> int:
        """Take a text in and return its position, which is the number of texts before it."""
        position = len(self._texts)
        encoded = self._vocabulary.learn(tokenize(text, None))
        self._texts.append(encoded)
        self._lengths.append(len(encoded))
        for token in set(encoded):
            self._postings.setdefault(token, array("i")).append(position)
        return position

    def nearest_above(self, text: str, threshold: float) -> Match | None:
        """Return the text with the highest score strictly above the threshold, the first of equals; None if none is.

        Raises:
            ValueError: the threshold is not in 0 … 1.
        """
        if not 0 <= threshold <= 1:
            raise ValueError(f"a ROUGE-L threshold lies in 0 … 1, not {threshold}")
        query = self._vocabulary.encode(tokenize(text, None))
        if not query or not self._texts:
            return None
        positions = self._within_reach(query, threshold)
        if not positions.size:
            return None
        scores = self._scores(query, positions, cutoff=int(_smallest_lcs(len(query), threshold)))
        best = int(scores.argmax())
        return Match(int(positions[best]), float(scores[best])) if scores[best] > threshold else None

    def survey(self, text: str, count: int) -> Survey:
        """Compare with every text and return the `count` nearest, the first of equals first, and the mean score.

        This is the full scan (about 1 ms for each thousand texts): for display, not for verdicts.
        """
        if not self._texts:
            return Survey((), 0.0)
        scores = self._scores(self._vocabulary.encode(tokenize(text, None)), np.arange(len(self._texts)), cutoff=0)
        nearest = np.argsort(-scores, kind="stable")[:count]
        return Survey(tuple(Match(int(place), float(scores[place])) for place in nearest), float(np.mean(scores)))

    def overlay(self) -> "Overlay":
        """Return an empty layer over this index, for texts that are accepted and not yet committed."""
        return Overlay(self)

    def _within_reach(self, query: str, threshold: float) -> npt.NDArray[np.intp]:
        """Return the positions, ascending, of all texts whose score may exceed the threshold."""
        uncounted = int(_smallest_lcs(len(query), threshold) * _UNCOUNTED)
        by_rarity = sorted(query, key=lambda token: len(self._postings.get(token, ())))
        most = np.full(len(self._texts), uncounted, np.intc)
        for token, count in Counter(by_rarity[: len(query) - uncounted]).items():
            if token in self._postings:
                most[np.frombuffer(self._postings[token], np.intc)] += count
        lengths = np.frombuffer(self._lengths, np.intc)
        np.minimum(most, lengths, out=most)
        np.minimum(most, len(query), out=most)
        return np.flatnonzero(most >= threshold / 2 * (lengths + len(query)) - _MARGIN)

    def _scores(self, query: str, positions: npt.NDArray[np.intp], cutoff: int) -> npt.NDArray[np.float64]:
        """Return the scores of the texts at these positions, 0 where their LCS is below the cutoff."""
        texts = [self._texts[position] for position in positions]
        lcs = process.cdist([query], texts, scorer=LCSseq.similarity, score_cutoff=cutoff, dtype=np.uint32)[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = lcs / np.frombuffer(self._lengths, np.intc)[positions]
            recall = lcs / len(query)
            return np.where(lcs > 0, 2 * precision * recall / (precision + recall), 0.0)


class Overlay:
    """Texts on top of an index that itself does not change: the accepted predecessors of a batch, thrown away after it.

    Positions go on from the end of the index, which must not grow while its overlay is in use.
    """

    def __init__(self, index: SimilarityIndex) -> None:
        self._index = index
        self._added = SimilarityIndex()

    def __len__(self) -> int:
        return len(self._index) + len(self._added)

    def add(self, text: str) -> int:
        """Take a text in and return its position, the one it will have when the batch is added to the index."""
        return len(self._index) + self._added.add(text)

    def nearest_above(self, text: str, threshold: float) -> Match | None:
        """Return the same as an index that holds the texts of both.

        Raises:
            ValueError: the threshold is not in 0 … 1.
        """
        below = self._index.nearest_above(text, threshold)
        above = self._added.nearest_above(text, threshold)
        if above is None or (below is not None and below.score >= above.score):
            return below
        return Match(len(self._index) + above.position, above.score)


def _smallest_lcs(length: int, threshold: float) -> float:
    """Return what the LCS with a text of this many tokens must at least be, for the score to exceed the threshold.

    The other text has at least LCS tokens, so LCS > t (m + LCS) / 2.
    """
    return max(0.0, threshold * length / (2 - threshold) - _MARGIN)
