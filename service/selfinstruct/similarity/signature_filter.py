"""What a text lacks of a query, seen from a few bytes beside it: cheap enough to ask of every text."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.selfinstruct.similarity.posting_lists import Stretches
from service.selfinstruct.similarity.query import Places, Query
from service.selfinstruct.similarity.signatures import Words

# Twice the lacked tokens of one word, and the load: a byte, which never exceeds this.
Claims = npt.NDArray[np.uint8]
_ANY = 255
# Rows whose words fit a core's cache.
_BLOCK = 12_288


@dataclass(frozen=True, slots=True)
class Sieve:
    """A load (`Bounds.load`) and a signature for each row: a text, or a posting of one."""

    load: npt.NDArray[np.uint8]
    absent: tuple[Words, ...]
    """The bits that the signature does not have, word by word."""

    @property
    def nbytes(self) -> int:
        """Its memory, in bytes."""
        return self.load.nbytes + sum(word.nbytes for word in self.absent)

    def part(self, start: int, end: int) -> "Sieve":
        """Return the rows start … end - 1."""
        return Sieve(self.load[start:end], tuple(word[start:end] for word in self.absent))

    def read(self, low: int, high: int, query: Query) -> Places:
        """Return which of the rows low … high - 1 may match, reading them all."""
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
        """Return which of these rows may match.

        Args:
            stretches: postings, by list.
            masks: for each list, the signature of the tokens that a text may be asked for: (words, lists).
            rooms: for each list, what its postings may claim.
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
    lacked: Claims = np.bitwise_count(absent & word)
    lacked <<= 1
    return lacked
