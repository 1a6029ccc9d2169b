"""What a text lacks of a query, seen from a few bytes beside it: cheap enough to ask of every text."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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

    def read(
        self, low: int, high: int, query: Query, reach: npt.NDArray[np.int16] | None = None
    ) -> list[tuple[Places, Claims]]:
        """Return which of the rows low … high - 1 may match by the first word, and what they claim of the room so far.

        Args:
            low: the first row.
            high: the row after the last.
            query: what is asked about.
            reach: the reach of all rows, where they are postings.
        """
        found = []
        for begin in range(low, high, _BLOCK):
            end = min(begin + _BLOCK, high)
            claims = _twice_lacked(query.words[0], self.absent[0][begin:end])
            claims += self.load[begin:end]
            kept = claims <= min(query.bounds.room, _ANY)
            if reach is not None:
                kept &= reach[begin:end] >= query.bounds.reach
            rows = kept.nonzero()[0]
            found.append((rows + begin, claims.take(rows)))
        return found

    def read_at(self, rows: Places, query: Query) -> tuple[Places, Claims]:
        """Return the same for these rows."""
        claims = _twice_lacked(query.words[0], self.absent[0].take(rows))
        claims += self.load.take(rows)
        kept = (claims <= min(query.bounds.room, _ANY)).nonzero()[0]
        return rows.take(kept), claims.take(kept)

    def left(self, found: list[tuple[Places, Claims]], query: Query) -> Places:
        """Return which of the rows found by the first word may match by both."""
        rows, claims = (np.concatenate(each) for each in zip(*found, strict=True))
        lacked = _twice_lacked(query.words[1], self.absent[1].take(rows))
        return rows.take((claims.astype(np.int16) + lacked <= query.bounds.room).nonzero()[0])

    def alike(self, rows: Places, lengths: npt.NDArray[np.uint32], query: Query) -> npt.NDArray[np.bool_]:
        """Return which of these rows, of texts of these lengths, lack nothing that the query cannot do without either.

        Where both are long this says nothing: their wide signatures say more.
        """
        alike = lengths >= query.wide_from
        asked = (~alike).nonzero()[0]
        at = rows.take(asked)
        alike[asked] = query.may_match(~np.stack([word.take(at) for word in self.absent]), lengths.take(asked))
        return alike


def _twice_lacked(word: np.uint64, absent: Words) -> Claims:
    lacked: Claims = np.bitwise_count(absent & word)
    lacked <<= 1
    return lacked
