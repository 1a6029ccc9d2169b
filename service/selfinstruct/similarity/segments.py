"""Immutable inverted lists of consecutive texts, which find the texts that share a rare token with a query.

Each text is listed under its rarest tokens only (`bounds`: prefixes). Each segment ranks the tokens by itself; the
ranks never affect a verdict. The list of a token is sorted by load and reach, so that a query reads only a part of it.
The load and signature of each posting are stored beside it, so that the filter reads nothing else.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from service.selfinstruct.similarity.bounds import Bounds
from service.selfinstruct.similarity.postings import Postings, rarest_first
from service.selfinstruct.similarity.query import Places, Query
from service.selfinstruct.similarity.text_signatures import TextSignatures
from service.selfinstruct.similarity.token_store import TokenStore


@dataclass(frozen=True, slots=True)
class Segment:
    """The postings of the texts `start` … `end` - 1."""

    start: int
    end: int
    _ranks: npt.NDArray[np.int32]
    _postings: Postings

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def nbytes(self) -> int:
        """Size of the arrays, in bytes."""
        return self._ranks.nbytes + self._postings.nbytes

    @classmethod
    def build(cls, texts: TokenStore, text_signatures: TextSignatures, start: int, bounds: Bounds) -> Self:
        """Return the segment of the texts from `start` on (CPU-bound: some seconds for a million texts).

        Raises:
            OverflowError: the segment has more than 67 million texts.
        """
        end = len(text_signatures)
        ranks = rarest_first(texts, start, end)
        return cls(
            start,
            end,
            ranks,
            Postings.build(texts, text_signatures.signature_filter.part(start, end), start, ranks, bounds),
        )

    def candidates(self, query: Query) -> Places:
        """Return the index positions of all texts that may match, in any order and possibly repeated."""
        ranks = self._ranks.take(np.where(query.codes < len(self._ranks), query.codes, 0))
        order = ranks.argsort(kind="stable")
        ranks = ranks[order][: len(query.bounds.rooms)]
        places = first_of_each(ranks).nonzero()[0]
        remaining = np.bitwise_or.accumulate(query.bits[:, order[::-1]], axis=1)[:, ::-1]
        rooms = query.bounds.rooms[places]
        stretches = self._postings.lists.within_reach(ranks[places], rooms, query.bounds)
        rows = self._postings.signature_filter.pick(stretches, remaining[:, places], rooms)
        return self._postings.texts.take(rows) + np.intp(self.start)


def first_of_each(ordered: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return a mask of the first occurrence of each value in a sorted array."""
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return first
