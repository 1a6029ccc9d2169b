"""The similarity index: older texts in a few segments, newer ones in a tail. Both only select texts to compare."""

from collections.abc import Iterator

import numpy as np

from service.selfinstruct.similarity.bounds import Bounds
from service.selfinstruct.similarity.full_scan import full_scan, full_scans
from service.selfinstruct.similarity.query import Places, Query
from service.selfinstruct.similarity.rouge import FullScan, Match, Text, Tokenized, scores, tokenized
from service.selfinstruct.similarity.segments import Segment, first_of_each
from service.selfinstruct.similarity.text_signatures import TextSignatures
from service.selfinstruct.similarity.token_store import TokenStore

# Maximum number of texts in the tail, which is scanned; a longer tail becomes a segment.
_TAIL = 8_192
# The same for the texts that a batch adds.
_BATCH = 4_096
# A segment less than this many times as large as the next is merged with it: two or three segments at a million texts.
_RATIO = 8


class SimilarityIndex:
    """Append-only index for the nearest text above a threshold.

    The index and its overlays are not thread-safe: a query brings the index up to date with the texts added before.

    Raises:
        ValueError: the threshold is not in 0 … 1.
    """

    def __init__(self, threshold: float, tail: int = _TAIL) -> None:
        """Create an empty index that scans up to `tail` of its newest texts one by one."""
        self._bounds = Bounds(threshold)
        self._texts = TokenStore()
        self._signatures = TextSignatures(self._bounds)
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
        """Size of the arrays, in bytes. The vocabulary, some 120 bytes for each distinct token, is not included."""
        segments = sum(segment.nbytes for segment in self._segments)
        return self._texts.nbytes + self._signatures.nbytes + segments

    def add(self, text: Text) -> int:
        """Append a text and return its position, which is the number of texts before it.

        The cost is linear in the length of the text. The next query indexes it.
        """
        self._texts.add(tokenized(text).tokens)
        return len(self._texts) - 1

    def nearest(self, text: Text, since: int = 0) -> Match | None:
        """Return the text with the highest score strictly above the threshold, the first of equals, or None.

        Args:
            text: the query.
            since: the first position to search.
        """
        encoded = self._texts.vocabulary.encode(tokenized(text).tokens)
        if not encoded or since >= len(self):
            return None
        self._settle()
        query = Query.of(encoded, self._bounds)
        positions = self._candidates(query, since)
        return self._best(query, positions) if positions.size else None

    def score(self, text: Text, position: int) -> float:
        """Return the ROUGE-L F-measure of `text` with the text at `position`; 0 if either has no token."""
        encoded = self._texts.vocabulary.encode(tokenized(text).tokens)
        return float(scores(encoded, [self._texts[position]])[0]) if encoded else 0.0

    def full_scan(self, text: Text, count: int) -> FullScan:
        """Compare with every text and return the `count` nearest, equal scores by position, and the mean score.

        This is a full scan (about 1 ms per thousand texts): for display, not for verdicts.
        """
        return full_scan(self._texts, self._texts.vocabulary.encode(tokenized(text).tokens), count)

    def full_scans(self, count: int, workers: int = 1) -> Iterator[list[FullScan]]:
        """Survey every text against those before it, in blocks. The index must not grow during the iteration.

        Args:
            count: the number of nearest texts in a survey.
            workers: the number of threads; -1 for one per core.
        """
        return full_scans(self._texts, count, workers)

    def overlay(self) -> "Overlay":
        """Return an empty layer over this index, for texts that are accepted but not yet committed."""
        return Overlay(self)

    def _candidates(self, query: Query, since: int) -> Places:
        """Return the ascending positions, from `since` on, of all texts that the bounds do not rule out."""
        found = [segment.candidates(query) for segment in self._segments if segment.end > since]
        found.append(self._signatures.read(max(since, self._listed()), query))
        positions = np.concatenate(found)
        left = np.sort(self._signatures.left(query, positions[positions >= since], self._texts.lengths))
        return left[first_of_each(left)]

    def _best(self, query: Query, positions: Places) -> Match | None:
        found = scores(query.encoded, self._texts.at(positions))
        best = int(found.argmax())
        return Match(int(positions[best]), float(found[best])) if found[best] > self.threshold else None

    def _listed(self) -> int:
        """Return the number of texts in segments; the others are the tail."""
        return self._segments[-1].end if self._segments else 0

    def _settle(self) -> None:
        """Index the added texts. Merge a full tail and the segments that are not much larger into one segment."""
        if len(self._signatures) == len(self._texts):
            return
        self._signatures.catch_up(self._texts)
        start, end = self._listed(), len(self._texts)
        if end - start <= self._tail:
            return
        kept = len(self._segments)
        while kept and len(self._segments[kept - 1]) < _RATIO * (end - start):
            kept -= 1
            start = self._segments[kept].start
        self._segments[kept:] = [Segment.build(self._texts, self._signatures, start, self._bounds)]


class Overlay:
    """Texts on top of an index that does not change: the accepted texts of one batch. It is discarded with the batch.

    Positions continue from the end of the index, which must not grow while its overlay is in use.
    """

    def __init__(self, index: SimilarityIndex) -> None:
        self._index = index
        self._added = SimilarityIndex(index.threshold, _BATCH)
        # The added texts, in order, so that the index can take them without tokenising them again.
        self.texts: list[Tokenized] = []

    def __len__(self) -> int:
        return len(self._index) + len(self._added)

    def add(self, text: Text) -> int:
        """Append a text and return the position that it will have once the batch is added to the index."""
        self.texts.append(tokenized(text))
        return len(self._index) + self._added.add(self.texts[-1])

    def score(self, text: Text, position: int) -> float:
        """Return the ROUGE-L F-measure of `text` with the text at `position`; 0 if either has no token."""
        below = len(self._index)
        return self._index.score(text, position) if position < below else self._added.score(text, position - below)

    def nearest(self, text: Text, since: int = 0) -> Match | None:
        """Return the result of an index that holds the texts of both."""
        text = tokenized(text)
        below = self._index.nearest(text, since)
        above = self._added.nearest(text, max(0, since - len(self._index)))
        if above is None or (below is not None and below.score >= above.score):
            return below
        return Match(len(self._index) + above.position, above.score)
