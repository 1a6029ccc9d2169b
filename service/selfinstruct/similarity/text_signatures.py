"""What is kept of every text beside its tokens: enough to rule most of them out in some nanoseconds each."""

from array import array

import numpy as np
import numpy.typing as npt

from service.selfinstruct.similarity.bounds import Bounds
from service.selfinstruct.similarity.long_texts import LongTexts
from service.selfinstruct.similarity.query import Places, Query
from service.selfinstruct.similarity.signature_filter import Sieve
from service.selfinstruct.similarity.signatures import WORDS, signatures
from service.selfinstruct.similarity.token_store import Texts


class Traits:
    """The load (`Bounds.load`) and the signature of each text, in order; and a wide signature of long ones."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._loads = array("B")
        self._absent = tuple(array("Q") for _ in range(WORDS))
        self._long = LongTexts()

    def __len__(self) -> int:
        return len(self._loads)

    @property
    def nbytes(self) -> int:
        """Its memory, in bytes."""
        return len(self) * (1 + 8 * WORDS) + self._long.nbytes

    @property
    def sieve(self) -> Sieve:
        """A row for each text: a view, to be dropped before texts are taken in."""
        absent = tuple(np.frombuffer(word, np.uint64) for word in self._absent)
        return Sieve(np.frombuffer(self._loads, np.uint8), absent)

    def catch_up(self, texts: Texts) -> None:
        """Take in the texts that are new since the last time.

        If it fails it can be tried again: the loads, by which texts are counted, are written last.
        """
        self._long.catch_up(texts)
        for _, runs in texts.chunks(len(self), len(texts)):
            loads, absent = self._bounds.load(runs.lengths), ~signatures(runs, WORDS)
            for kept, word in zip(self._absent, absent, strict=True):
                del kept[len(self) :]  # what is there of texts that were not taken in to the end
                kept.frombytes(word.tobytes())
            self._loads.frombytes(loads.tobytes())

    def read(self, first: int, query: Query) -> Places:
        """Return the positions from `first` on, ascending, that may match by what they lack of the query."""
        return self.sieve.read(first, len(self), query) if first < len(self) else np.empty(0, np.intp)

    def left(self, query: Query, positions: Places, lengths: npt.NDArray[np.uint32]) -> Places:
        """Return those of the positions that their signatures do not rule out.

        Args:
            query: what is asked about.
            positions: texts.
            lengths: how many tokens each text of the index has.
        """
        absent = [word.take(positions) for word in self.sieve.absent]
        positions = positions[query.may_match(query.words, absent, lengths.take(positions))]
        return self._long.left(query, positions, lengths)
