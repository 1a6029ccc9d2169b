"""A text that is asked about."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from service.selfinstruct.similarity.bounds import Bounds, QueryBounds
from service.selfinstruct.similarity.signatures import LONG, WIDE_WORDS, WORDS, Words, signature
from service.selfinstruct.similarity.texts import codes_of

_NO_LENGTH = 1 << 32

Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Query:
    """A text (one token or more) as it is compared: its tokens, its signatures and what its length implies."""

    encoded: str
    codes: npt.NDArray[np.uint32]
    words: Words
    wide: Words | None
    """Its wide signature, where it is long."""
    bounds: QueryBounds

    @classmethod
    def of(cls, encoded: str, bounds: Bounds) -> Self:
        """Return the query of these tokens, as characters."""
        codes = codes_of(encoded)
        wide = signature(codes, WIDE_WORDS) if len(encoded) >= LONG else None
        return cls(encoded, codes, signature(codes, WORDS), wide, bounds.of(len(encoded)))

    @property
    def wide_from(self) -> int:
        """The length from which on a text's wide signature is to be compared with this query's."""
        return LONG if self.wide is not None else _NO_LENGTH

    def may_match(self, signatures: Words, lengths: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
        """Return which texts of these lengths may share enough tokens, by what the query lacks of their signatures.

        Args:
            signatures: an array (words, texts); wide ones, for long queries, say what they lack of it as well.
            lengths: their lengths.
        """
        wide = self.wide is not None and len(signatures) == WIDE_WORDS
        mine = self.wide if self.wide is not None and wide else self.words
        may_lack = self.bounds.may_lack(lengths)
        lacked = np.zeros(len(lengths), np.int16)
        for word, words in zip(mine, signatures, strict=True):
            lacked += np.bitwise_count(words & ~word)
        enough: npt.NDArray[np.bool_] = lacked <= may_lack
        if wide:
            lacked[:] = 0
            for word, words in zip(mine, signatures, strict=True):
                lacked += np.bitwise_count(word & ~words)
            enough &= lacked <= may_lack + self.bounds.length - lengths
        return enough
