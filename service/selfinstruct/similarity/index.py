"""The index: old texts in a few segments, new ones in a tail; both only name whom to compare with."""

from collections.abc import Iterator

import numpy as np

from service.selfinstruct.similarity.bounds import Bounds
from service.selfinstruct.similarity.full_scan import survey, surveys
from service.selfinstruct.similarity.query import Places, Query
from service.selfinstruct.similarity.rouge import Match, Survey, scores, tokenize
from service.selfinstruct.similarity.segments import Segment, first_of_each
from service.selfinstruct.similarity.text_signatures import Traits
from service.selfinstruct.similarity.token_store import Texts

# Texts that are looked through one by one before they become a segment.
_TAIL = 8_192
# The same for what a batch adds.
_BATCH = 4_096
# A segment that is not so many times as large as the next is merged with it: two or three segments at a million texts.
_RATIO = 8


class SimilarityIndex:
    """Texts that can be asked which of them is nearest above a threshold; it only grows, and questions leave it as is.

    Not for several threads at once, `overlay` included.

    Raises:
        ValueError: the threshold is not in 0 … 1.
    """

    def __init__(self, threshold: float, tail: int = _TAIL) -> None:
        """Make an empty index that looks through up to `tail` of its newest texts one by one."""
        self._bounds = Bounds(threshold)
        self._texts = Texts()
        self._traits = Traits(self._bounds)
        self._segments: list[Segment] = []
        self._tail = tail

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def threshold(self) -> float:
        """The score that `nearest` must exceed."""
        return self._bounds.threshold

    @property
    def nbytes(self) -> int:
        """The memory of its arrays, in bytes; the vocabulary, some 120 bytes for each different token, comes on top."""
        segments = sum(segment.nbytes for segment in self._segments)
        return self._texts.nbytes + self._traits.nbytes + segments

    def add(self, text: str) -> int:
        """Take a text in and return its position, which is the number of texts before it.

        It costs what the text is long; what the index does with it is done by the next question.
        """
        self._texts.add(text)
        return len(self._texts) - 1

    def nearest(self, text: str, since: int = 0) -> Match | None:
        """Return the text with the highest score strictly above the threshold, the first of equals; None if none is.

        Args:
            text: what is asked about.
            since: the position from which on texts are looked at.
        """
        encoded = self._texts.vocabulary.encode(tokenize(text))
        if not encoded or since >= len(self):
            return None
        self._settle()
        query = Query.of(encoded, self._bounds)
        positions = self._candidates(query, since)
        return self._best(query, positions) if positions.size else None

    def score(self, text: str, position: int) -> float:
        """Return the ROUGE-L F-measure of a text with the one at a position; 0 if either has no token."""
        encoded = self._texts.vocabulary.encode(tokenize(text))
        return float(scores(encoded, [self._texts[position]])[0]) if encoded else 0.0

    def survey(self, text: str, count: int) -> Survey:
        """Compare with every text and return the `count` nearest, the first of equals first, and the mean score.

        This is the full scan (about 1 ms for each thousand texts): for display, not for verdicts.
        """
        return survey(self._texts, self._texts.vocabulary.encode(tokenize(text)), count)

    def surveys(self, count: int, workers: int = 1) -> Iterator[list[Survey]]:
        """Survey every text against those before it, block after block; the index must not grow meanwhile.

        Args:
            count: how many of the nearest are named.
            workers: the threads that compare; -1 for as many as there are cores.
        """
        return surveys(self._texts, count, workers)

    def overlay(self) -> "Overlay":
        """Return an empty layer over this index, for texts that are accepted and not yet committed."""
        return Overlay(self)

    def _candidates(self, query: Query, since: int) -> Places:
        """Return the positions, ascending and from `since` on, of all texts that the bounds do not rule out."""
        found = [segment.candidates(query) for segment in self._segments if segment.end > since]
        found.append(self._traits.read(max(since, self._listed()), query))
        positions = np.concatenate(found)
        left = np.sort(self._traits.left(query, positions[positions >= since], self._texts.lengths))
        return left[first_of_each(left)]

    def _best(self, query: Query, positions: Places) -> Match | None:
        found = scores(query.encoded, self._texts.at(positions))
        best = int(found.argmax())
        return Match(int(positions[best]), float(found[best])) if found[best] > self.threshold else None

    def _listed(self) -> int:
        """Return how many texts are in segments; the others are the tail."""
        return self._segments[-1].end if self._segments else 0

    def _settle(self) -> None:
        """Take in what was added; make a segment of a full tail, and of those that are not much larger with it."""
        if len(self._traits) == len(self._texts):
            return
        self._traits.catch_up(self._texts)
        start, end = self._listed(), len(self._texts)
        if end - start <= self._tail:
            return
        kept = len(self._segments)
        while kept and len(self._segments[kept - 1]) < _RATIO * (end - start):
            kept -= 1
            start = self._segments[kept].start
        self._segments[kept:] = [Segment.build(self._texts, self._traits, start, self._bounds)]


class Overlay:
    """Texts on top of an index that itself does not change: the accepted predecessors of a batch, thrown away after it.

    Positions go on from the end of the index, which must not grow while its overlay is in use.
    """

    def __init__(self, index: SimilarityIndex) -> None:
        self._index = index
        self._added = SimilarityIndex(index.threshold, _BATCH)

    def __len__(self) -> int:
        return len(self._index) + len(self._added)

    def add(self, text: str) -> int:
        """Take a text in and return its position, the one it will have when the batch is added to the index."""
        return len(self._index) + self._added.add(text)

    def score(self, text: str, position: int) -> float:
        """Return the ROUGE-L F-measure of a text with the one at a position."""
        below = len(self._index)
        return self._index.score(text, position) if position < below else self._added.score(text, position - below)

    def nearest(self, text: str, since: int = 0) -> Match | None:
        """Return the same as an index that holds the texts of both."""
        below = self._index.nearest(text, since)
        above = self._added.nearest(text, max(0, since - len(self._index)))
        if above is None or (below is not None and below.score >= above.score):
            return below
        return Match(len(self._index) + above.position, above.score)
