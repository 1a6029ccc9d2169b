"""A query: the text whose nearest neighbour is searched, prepared for comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from service.selfinstruct.similarity.bounds import Bounds, QueryBounds
from service.selfinstruct.similarity.signatures import LONG, WIDE_WORDS, Words, signature, token_bits
from service.selfinstruct.similarity.token_store import codes_of

Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Query:
    """A text of one token or more: its tokens, its signatures and the bounds that follow from its length."""

    encoded: str
    codes: npt.NDArray[np.uint32]
    bits: Words
    """Signature of each token: (`WORDS`, tokens)."""
    words: Words
    """Signature of the query: (`WORDS`)."""
    wide: Words | None
    """Wide signature of a query of `LONG` tokens or more, else None."""
    bounds: QueryBounds

    @classmethod
    def of(cls, encoded: str, bounds: Bounds) -> Self:
        """Return the query for `encoded`, its tokens as characters."""
        codes = codes_of(encoded)
        bits = token_bits(codes)
        wide = signature(codes, WIDE_WORDS) if len(encoded) >= LONG else None
        return cls(encoded, codes, bits, np.bitwise_or.reduce(bits, axis=1), wide, bounds.of(len(encoded)))

    def may_match(
        self, signature: Words, absent: Sequence[Words], lengths: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.bool_]:
        """Return a mask of the texts that may share enough tokens, by the bits that only one signature has.

        Let q and s be the signatures of the query and of a text, m and n their lengths, and c = `Bounds.needed(m + n)`.
        The text lacks at least popcount(q & ~s) of the query's tokens, and may lack m - c. The query lacks at least
        popcount(s & ~q) of the text's tokens, and may lack n - c.

        Args:
            signature: the query's signature q, narrow or wide.
            absent: ~s of each text, word by word.
            lengths: n of each text.
        """
        lacking, lacked = np.zeros((2, len(lengths)), np.int16)
        for word, bits in zip(signature, absent, strict=True):
            lacking += np.bitwise_count(bits & word)
            lacked += np.bitwise_count(~(bits | word))
        may_lack = self.bounds.may_lack(lengths)
        enough: npt.NDArray[np.bool_] = lacked <= may_lack
        enough &= lacking <= may_lack + self.bounds.length - lengths
        return enough
