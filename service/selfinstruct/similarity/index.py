"""The similarity index, which is compiled (`kernel/kernel.h` explains it), and a layer over it for one batch."""

import ctypes
import secrets
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from service.selfinstruct.similarity.full_scan import Scores, summary
from service.selfinstruct.similarity.library import NONE, checked, library
from service.selfinstruct.similarity.scores import FullScan, Match
from service.selfinstruct.similarity.tokens import ROUGE, Tokenizer

# Maximum number of texts in the tail, which are compared one by one; a longer tail becomes a segment.
_TAIL = 4_096
# Read from its file with this module, as a part of the import.
_LIBRARY = library()
# Number of texts that `add` hands to the library at a time: some two milliseconds of work.
_AT_ONCE = 1_024
# Maximum number of bytes of a text (LONGEST_TEXT in `kernel.h`).
_LONGEST = 1 << 28
# Number of texts whose full scans make up a block.
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Encoded:
    """Texts as codes of words, and the words: what an index can be loaded from. Each end counts from the first item."""

    ends: npt.NDArray[np.uint64]
    """The end of each text in `units`."""
    units: npt.NDArray[np.uint16]
    word_ends: npt.NDArray[np.uint64]
    """The end of each word in `words`."""
    words: npt.NDArray[np.uint8]


class SimilarityIndex:
    """Append-only index for the nearest text above a threshold.

    One thread adds, and any thread may ask, one after another. The work is done without the interpreter's lock.

    Raises:
        ValueError: the threshold is not in 0 … 1.
    """

    def __init__(self, threshold: float, tail: int = _TAIL, tokenizer: Tokenizer = ROUGE) -> None:
        """Create an empty index that compares up to `tail` of its newest texts one by one."""
        if not 0 <= threshold <= 1:
            raise ValueError(f"a ROUGE-L threshold lies in 0 … 1, not {threshold}")
        self._library = _LIBRARY
        self._threshold = threshold
        self.tokenizer = tokenizer
        self._encode = tokenizer.encode
        is_token = bytes(byte in tokenizer.token_bytes for byte in range(256))
        self._handle = self._library.index_new(threshold, secrets.randbits(64), tail, is_token)
        if self._handle is None:
            checked(-2)
        weakref.finalize(self, self._library.index_free, self._handle)
        self._lock = Lock()
        # Encoded texts that the library does not have yet: the last ones of `_count`.
        self._waiting: list[bytes] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def threshold(self) -> float:
        """The score that `nearest` must exceed."""
        return self._threshold

    @property
    def nbytes(self) -> int:
        """Size of the arrays, in bytes."""
        with self._lock:
            return int(self._library.index_bytes(self._handle))

    def add(self, text: str) -> int:
        """Append a text and return its position, which is the number of texts before it.

        Raises:
            OverflowError: a text is longer than 268 MB.
        """
        encoded = self._encode(text)
        if len(encoded) > _LONGEST:
            raise OverflowError(f"expected a text of {_LONGEST} bytes at most, got one of {len(encoded)}")
        self._waiting.append(encoded)
        self._count += 1
        if len(self._waiting) >= _AT_ONCE and self._lock.acquire(blocking=False):
            try:
                self._take_in()
            finally:
                self._lock.release()
        return self._count - 1

    def settle(self) -> None:
        """Index all texts, so that the next `nearest` need not: some seconds for a million. Call it in a thread."""
        with self._lock:
            self._settle()

    def nearest(self, text: str, since: int = 0) -> Match | None:
        """Return the text with the highest score strictly above the threshold, the first of equals, or None.

        Args:
            text: the query.
            since: the first position to search.
        """
        if since >= self._count:
            return None
        encoded, score = self._encode(text), ctypes.c_double()
        with self._lock:
            self._settle()
            position = self._library.index_nearest(self._handle, encoded, len(encoded), since, score)
        return Match(position, score.value) if checked(position) != NONE else None

    def score(self, text: str, position: int) -> float:
        """Return the ROUGE-L F-measure of `text` with the text at `position`; 0 if either has no token."""
        return float(self._scores(text, position, position + 1)[0])

    def full_scan(self, text: str, count: int) -> FullScan:
        """Compare with every text and return the `count` nearest, equal scores by position, and the mean score.

        This takes some 0.1 ms per thousand texts: for display, not for verdicts.
        """
        return summary(self._scores(text, 0, self._count), count)

    def full_scans(self, count: int, workers: int = 1) -> Iterator[list[FullScan]]:
        """Yield the full scan of each text among those before it, in blocks. The index must not grow meanwhile.

        Args:
            count: the number of nearest texts in a full scan.
            workers: the number of threads; -1 for some for each core.
        """
        with self._lock:
            self._take_in()
        with ThreadPoolExecutor(workers if workers > 0 else None) as threads:
            for start in range(0, self._count, _BLOCK):
                places = range(start, min(start + _BLOCK, self._count))
                yield list(threads.map(lambda place: summary(self._scores_before(place), count), places))

    def overlay(self) -> "Overlay":
        """Return an empty layer over this index, for texts that are accepted but not yet committed."""
        return Overlay(self)

    @property
    def words(self) -> int:
        """The number of different tokens."""
        with self._lock:
            self._take_in()
            return int(self._library.index_words(self._handle))

    def encoded(self, first_text: int = 0, first_word: int = 0) -> Encoded:
        """Return a copy of the texts and the words from these on: some hundred bytes a text.

        Raises:
            ValueError: there are not so many.
        """
        sizes = (ctypes.c_uint64 * 4)()
        with self._lock:
            self._take_in()
            checked(self._library.index_saved_sizes(self._handle, first_text, first_word, sizes))
            copy = Encoded(
                np.empty(sizes[0], np.uint64),
                np.empty(sizes[1], np.uint16),
                np.empty(sizes[2], np.uint64),
                np.empty(sizes[3], np.uint8),
            )
            checked(self._library.index_save(self._handle, first_text, first_word, *_pointers(copy)))
        return copy

    def load(self, encoded: Encoded) -> None:
        """Append what `encoded` of another index has returned, which began where this one ends.

        Raises:
            ValueError: it does not fit; the index may have a part of it and must not be used.
        """
        arrays: list[npt.NDArray[Any]] = [encoded.ends, encoded.units, encoded.word_ends, encoded.words]
        for array, kind in zip(arrays, (np.uint64, np.uint16, np.uint64, np.uint8), strict=True):
            if array.dtype != kind or array.ndim != 1 or not array.flags.c_contiguous:
                raise ValueError(f"expected a plain array of {kind.__name__}, got {array.dtype} {array.shape}")
        sizes = (ctypes.c_uint64 * 4)(*(len(array) for array in arrays))
        with self._lock:
            self._take_in()
            try:
                checked(self._library.index_load(self._handle, sizes, *_pointers(encoded)))
            finally:
                self._count = int(self._library.index_size(self._handle))

    def _scores(self, text: str, first: int, last: int) -> Scores:
        scores, encoded = np.empty(last - first), self._encode(text)
        with self._lock:
            self._take_in()
            checked(self._library.index_scores(self._handle, encoded, len(encoded), first, last, scores.ctypes.data))
        return scores

    def _scores_before(self, position: int) -> Scores:
        scores = np.empty(position)
        checked(self._library.index_scores_before(self._handle, position, scores.ctypes.data))
        return scores

    def _settle(self) -> None:
        if self._waiting:
            self._take_in()
        checked(self._library.index_settle(self._handle))

    def _take_in(self) -> None:
        """Hand the waiting texts to the library. Texts may be added meanwhile."""
        while texts := self._waiting[:_AT_ONCE]:
            ends = np.cumsum([len(text) for text in texts], dtype=np.uint64)
            before = self._library.index_size(self._handle)
            try:
                checked(self._library.index_add(self._handle, b"".join(texts), ends.ctypes.data, len(texts)))
            finally:
                del self._waiting[: self._library.index_size(self._handle) - before]


def _pointers(encoded: Encoded) -> tuple[int, int, int, int]:
    """Return the addresses of the arrays, in the order of the library."""
    ends, units, word_ends, words = encoded.ends, encoded.units, encoded.word_ends, encoded.words
    return ends.ctypes.data, units.ctypes.data, word_ends.ctypes.data, words.ctypes.data


class Overlay:
    """Texts on top of an index that does not change: the accepted texts of one batch. It is discarded with the batch.

    Positions continue from the end of the index, which must not grow while its overlay is in use.
    """

    def __init__(self, index: SimilarityIndex) -> None:
        self._index = index
        self._added = SimilarityIndex(index.threshold, tokenizer=index.tokenizer)

    def __len__(self) -> int:
        return len(self._index) + len(self._added)

    def add(self, text: str) -> int:
        """Append a text and return the position that it will have once the batch is added to the index."""
        return len(self._index) + self._added.add(text)

    def score(self, text: str, position: int) -> float:
        """Return the ROUGE-L F-measure of `text` with the text at `position`; 0 if either has no token."""
        below = len(self._index)
        return self._index.score(text, position) if position < below else self._added.score(text, position - below)

    def nearest(self, text: str, since: int = 0) -> Match | None:
        """Return the result of an index that holds the texts of both."""
        below = self._index.nearest(text, since)
        above = self._added.nearest(text, max(0, since - len(self._index)))
        if above is None or (below is not None and below.score >= above.score):
            return below
        return Match(len(self._index) + above.position, above.score)
