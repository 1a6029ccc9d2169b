"""Tokens as single characters, so that a text is a `str` and C++ code (rapidfuzz) compares two of them."""

from collections.abc import Iterable

# The character of every token that the vocabulary does not hold. No token in it has this character.
UNKNOWN = "\0"

_FIRST_SURROGATE = 0xD800
_SURROGATES = 0x800
_CAPACITY = 0x110000 - _SURROGATES - 1


class Vocabulary:
    """A one-to-one map from tokens to characters, in the order in which they were learnt."""

    def __init__(self) -> None:
        self._codes: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._codes)

    def learn(self, tokens: Iterable[str]) -> str:
        """Return the tokens as characters, one each, and assign characters to new tokens.

        Raises:
            OverflowError: there are more distinct tokens than characters (1,112,063).
        """
        return "".join([self._codes.get(token) or self._new_code(token) for token in tokens])

    def encode(self, tokens: Iterable[str]) -> str:
        """Return the tokens as characters, one each; a token that was never learnt becomes `UNKNOWN`."""
        return "".join([self._codes.get(token, UNKNOWN) for token in tokens])

    def _new_code(self, token: str) -> str:
        code = self._codes[token] = _character(len(self._codes))
        return code


def _character(index: int) -> str:
    """Return the character of the index-th token (from 0), skipping `UNKNOWN` and the surrogates."""
    if index >= _CAPACITY:
        raise OverflowError(f"a vocabulary holds {_CAPACITY} different tokens and is full")
    point = index + 1
    return chr(point if point < _FIRST_SURROGATE else point + _SURROGATES)
