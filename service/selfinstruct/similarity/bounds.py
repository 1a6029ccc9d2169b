"""Upper bounds on ROUGE-L, which rule out most texts without a comparison.

For texts of m and n tokens, F = 2 LCS / (m + n), so F > t means LCS > t (m + n) / 2. The LCS is at most the size of
the multiset intersection of their tokens. With the tokens of both in one order, rare ones first:

- *lengths*: the LCS is at most m and n, so n cannot be far from m;
- *prefixes*: two texts that share c tokens share one among the first m - c + 1 and n - c + 1 (Chaudhuri, Ganti and
  Kaushik 2006). This holds for multisets too;
- *places*: if the first shared token stands at place i of one text and j of the other (from 0), the two share at most
  min(m - i, n - j) tokens (PPJoin: Xiao, Wang, Lin and Yu 2008);
- *signatures*: each bit that only one text has stands for a token that the other lacks. If the first shared token
  stands at place i of one text, the other lacks the i tokens before it, and only later tokens need signature bits.

The load of a text and the reach of a posting take one byte each, rounded so that no text above the threshold is lost.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

# Far above the rounding error of the bound, far below one token.
_MARGIN = 1e-6
# Number of query lengths whose bounds are cached; few lengths are in use.
_KEPT = 4096
# `QueryBounds.spare` covers texts of fewer tokens than twice the query's length plus this.
_SPARE = 32
# The limit for longer texts, which rules nothing out.
_UNKNOWN = 1 << 40
# Steps of reach per token; reach is stored in a byte.
REACH_STEPS = 2
_FARTHEST = 255
_NO_LIMIT = np.iinfo(np.int16).max
# Together with twice the bits of a 64-bit word, the load still fits in a byte.
_HIGHEST_LOAD = 126


@dataclass(frozen=True, slots=True)
class QueryBounds:
    """Necessary conditions for a text to score above the threshold with a query of `length` tokens (≥ 1)."""

    length: int
    fewest: int
    """Lower limit of the number of shared tokens, whatever the text's length."""
    reach: int
    """Lower limit of the reach of a posting (`Bounds.reach`)."""
    lightest: int
    """Lower limit of the load of a text (`Bounds.load`)."""
    rooms: npt.NDArray[np.int16]
    """Upper limit of 2 * missing tokens + load: `rooms[i]` = ⌊2 (m - i) - t m⌋ for each place i of the query's prefix.

    `rooms[i]` is for texts that have none of the query's first i tokens. Its missing tokens are those of the other
    m - i that the text lacks.
    """
    spare: npt.NDArray[np.int64]
    """Upper limit of the number of a text's tokens that the query lacks, by text length; negative if too short."""

    @property
    def room(self) -> int:
        """Upper limit of 2 * missing tokens + load for any text: `rooms[0]`."""
        return int(self.rooms[0])

    def may_lack(self, lengths: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """Return `spare` for texts of these lengths; no limit for lengths that it does not cover."""
        return np.where(lengths < len(self.spare), self.spare.take(lengths, mode="clip"), _UNKNOWN)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds for one threshold, 0 … 1.

    Raises:
        ValueError: the threshold is not in 0 … 1.
    """

    threshold: float

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"a ROUGE-L threshold lies in 0 … 1, not {self.threshold}")

    def needed(self, tokens: int) -> int:
        """Return the lower limit of the LCS of two texts above the threshold with `tokens` tokens in total."""
        return max(1, math.ceil(self.threshold / 2 * tokens - _MARGIN))

    def shortest(self, length: int) -> int:
        """Return the length of the shortest text that can score above the threshold with one of `length` tokens."""
        half = self.threshold / 2
        shortest = max(1, math.floor(half * length / (1 - half)) - 1)
        while self.needed(length + shortest) > shortest:
            shortest += 1
        return shortest

    def prefix(self, length: int) -> int:
        """Return the number of rarest tokens of which every text above the threshold shares at least one."""
        return length - self.needed(length + self.shortest(length)) + 1

    def prefixes(self, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return `prefix` of each length; 0 for an empty text, which shares nothing."""
        different, which = np.unique(lengths, return_inverse=True)
        return np.array([self.prefix(size) if size else 0 for size in different.tolist()], np.int64)[which]

    def reach(self, lengths: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return the reach of postings, which limits the length m of a query: n (1 - t / 2) - j for each posting.

        n is the length of the text and j the place of the first shared token in it. n - j ≥ t (m + n) / 2 is
        equivalent to n (1 - t / 2) - j ≥ m t / 2. Both sides are counted in steps of 1 / `REACH_STEPS` token and
        rounded down, which keeps their order.
        """
        reach = np.floor(REACH_STEPS * (lengths * (1 - self.threshold / 2) - places) + _MARGIN)
        rounded: npt.NDArray[np.uint8] = np.clip(reach, 0, _FARTHEST).astype(np.uint8)
        return rounded

    def load(self, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return the load of texts of these lengths: t n, rounded down, and at most 126.

        A text of n tokens that lacks x of the query's m tokens shares at most m - x. m - x ≥ t (m + n) / 2 is
        equivalent to 2 x + t n ≤ m (2 - t).
        """
        load: npt.NDArray[np.uint8] = np.minimum(np.floor(self.threshold * lengths), _HIGHEST_LOAD).astype(np.uint8)
        return load

    def of(self, length: int) -> QueryBounds:
        """Return the bounds of a query of `length` tokens, from a cache."""
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
    """Return `rooms[i]`: with x more missing tokens, m - i - x ≥ t (m + n) / 2 is 2 x + t n ≤ 2 (m - i) - t m."""
    return max(0, min(_NO_LIMIT, math.floor(2 * (length - place + _MARGIN) - 2 * half * length)))
