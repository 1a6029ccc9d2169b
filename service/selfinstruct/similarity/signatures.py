"""Bit signatures: each token of a text sets one bit. A bit that only one of two texts has is a token the other lacks.

Each text and each posting has 128 bits. Long texts, whose tokens would set most of those, have 512 more.
"""

import numpy as np
import numpy.typing as npt

from service.selfinstruct.similarity.token_store import TokenRuns

# Fibonacci hashing (Knuth, TAOCP 3, section 6.4), which maps consecutive codes to distant bits.
_FACTOR = 2654435769
_WORD = 64
WORDS, WIDE_WORDS = 2, 8
# Texts of fewer tokens leave enough of the 128 bits unset.
LONG = 64

Words = npt.NDArray[np.uint64]

_EACH_WORD = np.arange(WORDS, dtype=np.uint32)[:, None]


def signatures(runs: TokenRuns, words: int) -> Words:
    """Return the signatures of some texts, of `words` words each (a power of two): an array (words, texts)."""
    bits = _bits(runs.codes, words)
    one = np.uint64(1) << (bits % _WORD).astype(np.uint64)
    word = bits // _WORD
    found = np.zeros((words, len(runs.lengths)), np.uint64)
    filled = runs.lengths > 0
    if filled.any():
        starts = runs.starts[:-1][filled]
        for place in range(words):
            found[place, filled] = np.bitwise_or.reduceat(np.where(word == place, one, np.uint64(0)), starts)
    return found


def signature(codes: npt.NDArray[np.uint32], words: int) -> Words:
    """Return the signature of one text: an array of `words` words."""
    found = 0
    for bit in _bits(codes, words).tolist():
        found |= 1 << bit
    return np.frombuffer(found.to_bytes(8 * words, "little"), "<u8")


def token_bits(codes: npt.NDArray[np.uint32]) -> Words:
    """Return the signature of each token alone: an array (`WORDS`, tokens)."""
    bits = _bits(codes, WORDS)
    one = np.uint64(1) << (bits % _WORD).astype(np.uint64)
    return np.where(bits // _WORD == _EACH_WORD, one, np.uint64(0))


def _bits(codes: npt.NDArray[np.uint32], words: int) -> npt.NDArray[np.uint32]:
    """Return the bit of each token, 0 … 64 * words - 1."""
    return (codes * np.uint32(_FACTOR)) >> np.uint32(32 - (_WORD * words - 1).bit_length())
