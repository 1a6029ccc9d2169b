"""Wide signatures of long texts, whose tokens would set most bits of the narrow ones."""

from array import array

import numpy as np
import numpy.typing as npt

from service.selfinstruct.similarity.query import Places, Query
from service.selfinstruct.similarity.signatures import LONG, WIDE_WORDS, signature
from service.selfinstruct.similarity.token_store import TokenStore, codes_of

_NONE = -1


class LongTexts:
    """The wide signatures of the texts of `LONG` tokens or more."""

    def __init__(self) -> None:
        self._rows = array("i")
        """Signature row of each text, in the order of the texts; `_NONE` for short texts."""
        self._signatures = bytearray()

    @property
    def nbytes(self) -> int:
        """Size of the arrays, in bytes."""
        return self._rows.itemsize * len(self._rows) + len(self._signatures)

    def catch_up(self, texts: TokenStore) -> None:
        """Add the texts that are new since the last call."""
        new = len(self._rows)
        long = np.flatnonzero(texts.lengths[new:] >= LONG)
        found = b"".join(signature(codes_of(texts[new + place]), WIDE_WORDS).tobytes() for place in long.tolist())
        rows = np.full(len(texts) - new, _NONE, np.intc)
        rows[long] = np.arange(len(long)) + len(self._signatures) // (8 * WIDE_WORDS)
        self._signatures += found
        self._rows.frombytes(rows.tobytes())

    def left(self, query: Query, positions: Places, lengths: npt.NDArray[np.uint32]) -> Places:
        """Return the positions that the wide signatures do not rule out; all positions if the query is short."""
        if query.wide is None:
            return positions
        rows = np.frombuffer(self._rows, np.intc).take(positions)
        long = (rows != _NONE).nonzero()[0]
        signatures = np.frombuffer(self._signatures, np.uint64).reshape(-1, WIDE_WORDS)
        absent = np.invert(signatures.take(rows.take(long), axis=0)).T
        kept = np.ones(len(positions), np.bool_)
        kept[long] = query.may_match(query.wide, absent, lengths.take(positions.take(long)))
        return positions[kept]
