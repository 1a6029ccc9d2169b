"""Load and signature of every text, which rule out most texts in some nanoseconds each.

`read` keeps a text if 2 popcount(q & ~s) + ⌊t n⌋ ≤ ⌊(2 - t) m⌋ (`signature_filter` explains the symbols). `left` also
counts the bits that only the text has, popcount(s & ~q) (`Query.may_match`).
"""

from array import array

import numpy as np
import numpy.typing as npt

from service.selfinstruct.similarity.bounds import Bounds
from service.selfinstruct.similarity.long_texts import LongTexts
from service.selfinstruct.similarity.query import Places, Query
from service.selfinstruct.similarity.signature_filter import SignatureFilter
from service.selfinstruct.similarity.signatures import WORDS, signatures
from service.selfinstruct.similarity.token_store import TokenStore


class TextSignatures:
    """Load (`Bounds.load`) and signature of each text, in order, and a wide signature of each long text."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._loads = array("B")
        self._absent = tuple(array("Q") for _ in range(WORDS))
        self._long = LongTexts()

    def __len__(self) -> int:
        return len(self._loads)

    @property
    def nbytes(self) -> int:
        """Size of the arrays, in bytes."""
        return len(self) * (1 + 8 * WORDS) + self._long.nbytes

    @property
    def signature_filter(self) -> SignatureFilter:
        """One row for each text: a view, which must be released before texts are added."""
        absent = tuple(np.frombuffer(word, np.uint64) for word in self._absent)
        return SignatureFilter(np.frombuffer(self._loads, np.uint8), absent)

    def catch_up(self, texts: TokenStore) -> None:
        """Add the texts that are new since the last call.

        A failed call can be repeated: `len` counts the loads, and the loads are written last.
        """
        self._long.catch_up(texts)
        for _, runs in texts.chunks(len(self), len(texts)):
            loads, absent = self._bounds.load(runs.lengths), ~signatures(runs, WORDS)
            for kept, word in zip(self._absent, absent, strict=True):
                del kept[len(self) :]  # rows that a failed call left behind
                kept.frombytes(word.tobytes())
            self._loads.frombytes(loads.tobytes())

    def read(self, first: int, query: Query) -> Places:
        """Return the ascending positions from `first` on of the texts that pass the signature filter."""
        return self.signature_filter.read(first, len(self), query) if first < len(self) else np.empty(0, np.intp)

    def left(self, query: Query, positions: Places, lengths: npt.NDArray[np.uint32]) -> Places:
        """Return the positions that the signatures, narrow and wide, do not rule out.

        Args:
            query: the query.
            positions: the positions of the texts to test.
            lengths: the token count of each text of the index.
        """
        absent = [word.take(positions) for word in self.signature_filter.absent]
        positions = positions[query.may_match(query.words, absent, lengths.take(positions))]
        return self._long.left(query, positions, lengths)
