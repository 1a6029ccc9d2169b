"""The newest texts, which no segment holds yet: looked through one by one, some ten thousand in the time of a list."""

import numpy as np
import numpy.typing as npt

from service.selfinstruct.similarity.bounds import Bounds
from service.selfinstruct.similarity.query import Places, Query
from service.selfinstruct.similarity.sieve import Sieve
from service.selfinstruct.similarity.signatures import WORDS, signatures
from service.selfinstruct.similarity.texts import Texts


class Tail:
    """The texts from `start` on, up to `capacity` of them."""

    def __init__(self, start: int, capacity: int, bounds: Bounds) -> None:
        self.start = start
        self.capacity = capacity
        self._bounds = bounds
        self._size = 0
        self._sieve = Sieve(np.zeros(capacity, np.uint8), tuple(np.zeros(capacity, np.uint64) for _ in range(WORDS)))

    def __len__(self) -> int:
        return self._size

    @property
    def nbytes(self) -> int:
        """Its memory, in bytes."""
        return self._sieve.nbytes

    def catch_up(self, texts: Texts) -> None:
        """Take in the texts that are new since the last time."""
        runs = texts.tokens(self.start + self._size, len(texts))
        new = slice(self._size, self._size + len(runs.lengths))
        self._sieve.load[new] = self._bounds.load(runs.lengths)
        for word, present in zip(self._sieve.absent, signatures(runs, WORDS), strict=True):
            word[new] = ~present
        self._size = new.stop

    def candidates(self, query: Query, lengths: npt.NDArray[np.uint32], since: int) -> Places:
        """Return the positions in the index, ascending and from `since` on, of all texts that are not ruled out.

        Args:
            query: what is asked about.
            lengths: how many tokens each text of the index has.
            since: the position from which on texts are looked at.
        """
        first = max(0, since - self.start)
        if first >= self._size:
            return np.empty(0, np.intp)
        rows = self._sieve.left(self._sieve.read(first, self._size, query), query)
        positions = rows + self.start
        return positions[self._sieve.alike(rows, lengths.take(positions), query)]
