"""A text that is asked about."""

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
    """A text (one token or more) as it is compared: its tokens, its signatures and what its length implies."""

    encoded: str
    codes: npt.NDArray[np.uint32]
    bits: Words
    """The signature of each token: (`WORDS`, tokens)."""
    words: Words
    """Its signature: (`WORDS`)."""
    wide: Words | None
    """Its wide signature, where it is long."""
    bounds: QueryBounds

    @classmethod
    def of(cls, encoded: str, bounds: Bounds) -> Self:
        """Return the query of these tokens, as characters."""
        codes = codes_of(encoded)
        bits = token_bits(codes)
        wide = signature(codes, WIDE_WORDS) if len(encoded) >= LONG else None
        return cls(encoded, codes, bits, np.bitwise_or.reduce(bits, axis=1), wide, bounds.of(len(encoded)))

    def may_match(
        self, signature: Words, absent: Sequence[Words], lengths: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.bool_]:
        """Return which texts of these lengths may share enough tokens, by what either lacks of the other's signature.

        Args:
            signature: the query's own, narrow or wide.
            absent: word by word, the bits that the texts' signatures do not have.
            lengths: their lengths.
        """
        lacking, lacked = np.zeros((2, len(lengths)), np.int16)
        for word, bits in zip(signature, absent, strict=True):
            lacking += np.bitwise_count(bits & word)
            lacked += np.bitwise_count(~(bits | word))
        may_lack = self.bounds.may_lack(lengths)
        enough: npt.NDArray[np.bool_] = lacked <= may_lack
        enough &= lacking <= may_lack + self.bounds.length - lengths
        return enough
