"""What a score above a threshold implies, so that most texts need no comparison.

F > t for texts of m and n tokens means LCS > t (m + n) / 2, and the LCS is at most the number of tokens they share,
each counted as often as both have it. From there, with the tokens of both in one order, rare ones first:

- *lengths*: the LCS is at most m and n, so n cannot be far from m;
- *prefixes*: two texts that share c tokens share one among the first m - c + 1 and n - c + 1 (Chaudhuri, Ganti and
  Kaushik 2006), for multisets too;
- *places*: if the first that they share stands at place i of one and j of the other (from 0), they share at most
  min(m - i, n - j) (PPJoin: Xiao, Wang, Lin and Yu 2008);
- *signatures*: each bit that only one of them has stands for a token that the other lacks. If the first that they
  share stands at place i, the other lacks the i before it for certain, and bits need to tell only of what follows.

What is kept of a text for this fits a byte or two, rounded so that nothing above the threshold is lost.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

# Far more than the rounding error of the bound, far less than one token.
_MARGIN = 1e-6
# How many lengths of queries are remembered: those in use are few.
_KEPT = 4096
# Lengths, beyond twice its own, for which a query knows how many tokens a text may have for itself.
_SPARE = 32
_UNKNOWN = 1 << 40
# Reach is kept in steps of this part of a token, in a byte.
REACH_STEPS = 2
_FARTHEST = 255
_NO_LIMIT = np.iinfo(np.int16).max
# With twice the bits of a 64-bit word it still fits a byte.
_HIGHEST_LOAD = 126


@dataclass(frozen=True, slots=True)
class QueryBounds:
    """What must hold of a text for a query of `length` tokens (≥ 1) to score above the threshold with it."""

    length: int
    fewest: int
    """The fewest tokens that a text must share with it, whatever its length."""
    reach: int
    """The smallest reach of a posting (`Bounds.reach`)."""
    lightest: int
    """The smallest load of a text (`Bounds.load`)."""
    rooms: npt.NDArray[np.int16]
    """What twice the number of the query's tokens that a text lacks, plus the text's load, may be.

    One for each place i of its prefix, for a text that has none of the first i tokens and what it lacks of the others.
    """
    spare: npt.NDArray[np.int64]
    """How many of a text's tokens the query may lack, by the text's length; negative where it is too short."""

    @property
    def room(self) -> int:
        """What a text may claim of which nothing is known: the first of `rooms`."""
        return int(self.rooms[0])

    def may_lack(self, lengths: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """Return how many of their tokens the query may lack, of texts of these lengths; as far as it is known."""
        return np.where(lengths < len(self.spare), self.spare.take(lengths, mode="clip"), _UNKNOWN)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of one threshold, 0 … 1.

    Raises:
        ValueError: the threshold is not in 0 … 1.
    """

    threshold: float

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"a ROUGE-L threshold lies in 0 … 1, not {self.threshold}")

    def needed(self, tokens: int) -> int:
        """Return the smallest LCS of two texts above the threshold that have so many tokens together."""
        return max(1, math.ceil(self.threshold / 2 * tokens - _MARGIN))

    def shortest(self, length: int) -> int:
        """Return the length of the shortest text that can be above the threshold with one of this length."""
        half = self.threshold / 2
        shortest = max(1, math.floor(half * length / (1 - half)) - 1)
        while self.needed(length + shortest) > shortest:
            shortest += 1
        return shortest

    def prefix(self, length: int) -> int:
        """Return how many of its rarest tokens hold one that every text above the threshold shares with it."""
        return length - self.needed(length + self.shortest(length)) + 1

    def prefixes(self, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return `prefix` of each length; nothing is shared with an empty text."""
        different, which = np.unique(lengths, return_inverse=True)
        return np.array([self.prefix(size) if size else 0 for size in different.tolist()], np.int64)[which]

    def reach(self, lengths: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return how long a query may be whose first shared token stands at these places of texts of these lengths.

        n - j ≥ t (m + n) / 2 is n (1 - t / 2) - j ≥ m t / 2: reach is the left side. Both are rounded down, which
        keeps their order.
        """
        reach = np.floor(REACH_STEPS * (lengths * (1 - self.threshold / 2) - places) + _MARGIN)
        rounded: npt.NDArray[np.uint8] = np.clip(reach, 0, _FARTHEST).astype(np.uint8)
        return rounded

    def load(self, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return what texts of these lengths ask of a query.

        A text that lacks x of the query's m tokens shares m - x ≥ t (m + n) / 2 at best: 2 x + t n ≤ m (2 - t). Load
        is t n, rounded down.
        """
        load: npt.NDArray[np.uint8] = np.minimum(np.floor(self.threshold * lengths), _HIGHEST_LOAD).astype(np.uint8)
        return load

    def of(self, length: int) -> QueryBounds:
        """Return what follows for queries of this length."""
        return _query_bounds(self, length)


@lru_cache(_KEPT)
def _query_bounds(bounds: Bounds, length: int) -> QueryBounds:
    half = bounds.threshold / 2
    shortest = bounds.shortest(length)
    return QueryBounds(
        length=length,
        fewest=bounds.needed(length + shortest),
        reach=max(0, min(math.floor(REACH_STEPS * half * length - _MARGIN), _FARTHEST)),
        lightest=min(math.floor(2 * half * shortest), _HIGHEST_LOAD),
        spare=np.array([size - bounds.needed(length + size) for size in range(2 * length + _SPARE)], np.int64),
        rooms=np.array([_room(half, length, place) for place in range(bounds.prefix(length))], np.int16),
    )


def _room(half: float, length: int, place: int) -> int:
    """From m - i - x ≥ t (m + n) / 2 with x more that it lacks: 2 x + t n ≤ 2 (m - i) - t m."""
    return max(0, min(_NO_LIMIT, math.floor(2 * (length - place + _MARGIN) - 2 * half * length)))
