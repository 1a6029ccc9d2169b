"""Inverted lists of a run of texts that does not change: which of them share a rare token with a query.

Each text is listed under the rarest of its tokens alone (`bounds`: prefixes), in an order that is the segment's own
and never decides a verdict. A posting carries what rules it out, so that little else is looked at: the load by which
a token's list is sorted, the reach, and the signature.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from service.selfinstruct.similarity.bounds import Bounds
from service.selfinstruct.similarity.postings import Postings, rarest_first
from service.selfinstruct.similarity.query import Places, Query
from service.selfinstruct.similarity.texts import Texts

# A list that is longer is cut to the loads in question first, and looked at alone.
_SHORT = 256
# Longer stretches are read through in order, signatures and all; of shorter ones it costs less to pick postings first.
_WORTH_READING = 2_048


@dataclass(frozen=True, slots=True)
class Segment:
    """The postings of the texts `start` … `end` - 1."""

    start: int
    end: int
    _ranks: npt.NDArray[np.int32]
    _lists: npt.NDArray[np.int64]
    _postings: Postings

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def nbytes(self) -> int:
        """Its memory, in bytes."""
        return self._ranks.nbytes + self._lists.nbytes + self._postings.nbytes

    @classmethod
    def build(cls, texts: Texts, start: int, end: int, bounds: Bounds) -> Self:
        """Return the segment of these texts (CPU-bound: some seconds for a million).

        Raises:
            OverflowError: there are more than 67 million.
        """
        ranks = rarest_first(texts, start, end)
        postings, lists = Postings.build(texts, start, end, ranks, bounds)
        return cls(start, end, ranks, lists, postings)

    def candidates(self, query: Query, lengths: npt.NDArray[np.uint32]) -> Places:
        """Return the positions in the index, ascending, of all its texts that the bounds do not rule out.

        Args:
            query: what is asked about.
            lengths: how many tokens each text of the index has.
        """
        known = np.where(query.codes < len(self._ranks), query.codes, 0)
        ranks = np.sort(self._ranks[known])[: len(query.bounds.heaviest)]
        places = _first_of_each(ranks).nonzero()[0]
        begins, ends = self._lists[ranks[places]], self._lists[ranks[places] + 1]
        long = ends - begins > _SHORT
        sieve, reach = self._postings.sieve, self._postings.reach
        short = _stretches(begins[~long], ends[~long])
        picked, found = [short[reach.take(short) >= query.bounds.reach]], []
        for place, begin, end in zip(places[long].tolist(), begins[long].tolist(), ends[long].tolist(), strict=True):
            low, high = self._postings.between(begin, end, query.bounds.lightest, query.bounds.heaviest[place])
            if high - low > _WORTH_READING:
                found += sieve.read(low, high, query, reach)
            else:
                picked.append((reach[low:high] >= query.bounds.reach).nonzero()[0] + low)
        found.append(sieve.read_at(np.concatenate(picked), query))
        return self._texts_of(sieve.left(found, query), query, lengths)

    def _texts_of(self, postings: Places, query: Query, lengths: npt.NDArray[np.uint32]) -> Places:
        texts = self._postings.texts.take(postings).astype(np.intp) + self.start
        alike = self._postings.sieve.alike(postings, lengths.take(texts), query)
        texts = np.sort(texts[alike])
        return texts[_first_of_each(texts)]


def _first_of_each(ordered: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return where an ordered array has a value for the first time."""
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return first


def _stretches(begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> Places:
    """Return the numbers from each begin to its end, without it."""
    sizes = ends - begins
    upto = np.cumsum(sizes)
    numbers: Places = np.arange(upto[-1] if len(upto) else 0) + np.repeat(begins - upto + sizes, sizes)
    return numbers
