"""The similarity index, which is compiled (`kernel/kernel.h` explains it), and a layer over it for one batch."""

import ctypes
import secrets
import weakref
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from threading import Lock

from service.selfinstruct.recipe import Filters
from service.selfinstruct.similarity.library import NONE, checked, library
from service.selfinstruct.similarity.scores import FullScan, Match
from service.selfinstruct.similarity.tokens import ROUGE, TOKENIZERS, Tokenizer

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

    ends: memoryview
    """The end of each text in `units`."""
    units: memoryview
    word_ends: memoryview
    """The end of each word in `words`."""
    words: memoryview


# The arrays of `Encoded`: type codes of the module `array`.
_KINDS = {"ends": "Q", "units": "H", "word_ends": "Q", "words": "B"}


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

    @classmethod
    def of(cls, filters: Filters) -> "SimilarityIndex":
        """Return an empty index with the threshold and the tokens of a recipe."""
        return cls(filters.rouge_threshold, tokenizer=TOKENIZERS[filters.language])

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

    def full_scan(self, text: str, count: int, before: int | None = None) -> FullScan:
        """Compare with every text and return the `count` nearest, equal scores by position, and the mean score.

        With `before`, only the texts before this position are compared.

        This takes some 0.1 ms per thousand texts: for display, not for verdicts.
        """
        # numpy, which takes as long to import as a command may start, and which verdicts do not need.
        from service.selfinstruct.similarity.full_scan import summary  # noqa: PLC0415

        return summary(self._scores(text, 0, self._count if before is None else before), count)

    def full_scans(self, count: int, workers: int = 1) -> Iterator[list[FullScan]]:
        """Yield the full scan of each text among those before it, in blocks. The index must not grow meanwhile.

        Args:
            count: the number of nearest texts in a full scan.
            workers: the number of threads; -1 for some for each core.
        """
        from service.selfinstruct.similarity.full_scan import summary  # noqa: PLC0415 - as in `full_scan`

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
            arrays = [array(kind, [0]) * size for kind, size in zip(_KINDS.values(), sizes, strict=True)]
            addresses = (each.buffer_info()[0] for each in arrays)
            checked(self._library.index_save(self._handle, first_text, first_word, *addresses))
        return Encoded(*(memoryview(each) for each in arrays))

    def load(self, encoded: Encoded) -> None:
        """Append what `encoded` of another index has returned, which began where this one ends.

        Raises:
            ValueError: it does not fit; the index may have a part of it and must not be used.
        """
        # ctypes gives no address of memory that is read-only, as that of a mapped file is.
        import numpy as np  # noqa: PLC0415 - for those who load alone

        arrays: list[memoryview] = [getattr(encoded, name) for name in _KINDS]
        for each, kind in zip(arrays, _KINDS.values(), strict=True):
            if each.format != kind or each.ndim != 1 or not each.c_contiguous:
                raise ValueError(f"expected a plain array of type {kind}, got {each.format} {each.shape}")
        sizes = (ctypes.c_uint64 * 4)(*map(len, arrays))
        addresses = [np.asarray(each).ctypes.data for each in arrays]
        with self._lock:
            self._take_in()
            try:
                checked(self._library.index_load(self._handle, sizes, *addresses))
            finally:
                self._count = int(self._library.index_size(self._handle))

    def _scores(self, text: str, first: int, last: int) -> "array[float]":
        scores, encoded = array("d", [0.0]) * (last - first), self._encode(text)
        with self._lock:
            self._take_in()
            address, _ = scores.buffer_info()
            checked(self._library.index_scores(self._handle, encoded, len(encoded), first, last, address))
        return scores

    def _scores_before(self, position: int) -> "array[float]":
        scores = array("d", [0.0]) * position
        checked(self._library.index_scores_before(self._handle, position, scores.buffer_info()[0]))
        return scores

    def _settle(self) -> None:
        if self._waiting:
            self._take_in()
        checked(self._library.index_settle(self._handle))

    def _take_in(self) -> None:
        """Hand the waiting texts to the library. Texts may be added meanwhile."""
        while texts := self._waiting[:_AT_ONCE]:
            ends = array("Q", accumulate(map(len, texts)))
            before = self._library.index_size(self._handle)
            try:
                checked(self._library.index_add(self._handle, b"".join(texts), ends.buffer_info()[0], len(texts)))
            finally:
                del self._waiting[: self._library.index_size(self._handle) - before]


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
