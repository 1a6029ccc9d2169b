"""The signature filter: a test of a few bytes per text, cheap enough to run on every text.

A text can score above the threshold t only if 2 popcount(q & ~s) + ⌊t n⌋ ≤ ⌊(2 - t) m⌋, where q and s are the
signatures of the query and the text, and m and n their token counts. popcount(q & ~s) is a lower bound of the number
of query tokens that the text lacks. ⌊t n⌋ is `Bounds.load`, and the right side is `QueryBounds.room`. For a posting
of the query's token at place i, q holds only the tokens from i on, and the right side is ⌊2 (m - i) - t m⌋, which is
`QueryBounds.rooms[i]`. `bounds` derives both.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.selfinstruct.similarity.posting_lists import Stretches
from service.selfinstruct.similarity.query import Places, Query
from service.selfinstruct.similarity.signatures import Words

# 2 popcount(q & ~s) of one word, plus the load: at most 2 * 64 + 126, which fits in a byte.
Claims = npt.NDArray[np.uint8]
_ANY = 255
# Rows per block: their words fit in a core's cache.
_BLOCK = 12_288


@dataclass(frozen=True, slots=True)
class SignatureFilter:
    """Load (`Bounds.load`) and signature of each row. A row is a text, or a posting of one."""

    load: npt.NDArray[np.uint8]
    absent: tuple[Words, ...]
    """Complement of the signature, ~s, word by word."""

    @property
    def nbytes(self) -> int:
        """Size of the arrays, in bytes."""
        return self.load.nbytes + sum(word.nbytes for word in self.absent)

    def part(self, start: int, end: int) -> "SignatureFilter":
        """Return the rows start … end - 1."""
        return SignatureFilter(self.load[start:end], tuple(word[start:end] for word in self.absent))

    def read(self, low: int, high: int, query: Query) -> Places:
        """Return the rows of low … high - 1 that may match, by a scan of all of them.

        The first word of the signature is tested for all rows, the second for those that are left.
        """
        room, found = query.bounds.room, []
        for begin in range(low, high, _BLOCK):
            end = min(begin + _BLOCK, high)
            claims = _twice_lacked(query.words[0], self.absent[0][begin:end])
            claims += self.load[begin:end]
            rows = (claims <= min(room, _ANY)).nonzero()[0]
            found.append((rows + begin, claims.take(rows)))
        rows, claims = (np.concatenate(each) for each in zip(*found, strict=True))
        lacked = _twice_lacked(query.words[1], self.absent[1].take(rows))
        return rows.take((claims.astype(np.int16) + lacked <= room).nonzero()[0])

    def pick(self, stretches: Stretches, masks: Words, rooms: npt.NDArray[np.int16]) -> Places:
        """Return the rows of `stretches` that may match.

        Args:
            stretches: ranges of postings, by list.
            masks: for each list at place i of the query, the signature of the tokens from i on: (`WORDS`, lists).
            rooms: for each list, `QueryBounds.rooms[i]`.
        """
        rows = stretches.rows()
        claims = _twice_lacked(stretches.each(masks[0]), self.absent[0].take(rows))
        claims += self.load.take(rows)
        kept = (claims <= stretches.each(np.minimum(rooms, _ANY).astype(np.uint8))).nonzero()[0]
        lists = stretches.each(np.arange(len(rooms), dtype=np.int32)).take(kept)
        rows = rows.take(kept)
        lacked = _twice_lacked(masks[1].take(lists), self.absent[1].take(rows))
        return rows.take((claims.take(kept).astype(np.int16) + lacked <= rooms.take(lists)).nonzero()[0])


def _twice_lacked(word: np.uint64 | Words, absent: Words) -> Claims:
    """Return 2 popcount(q & ~s) of one word of the signatures."""
    lacked: Claims = np.bitwise_count(absent & word)
    lacked <<= 1
    return lacked
