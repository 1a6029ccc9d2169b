"""Token sequences of all texts of an index in one buffer, with two bytes for most tokens."""

from array import array
from codecs import utf_16_le_decode  # spares a call for each text that is compared
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from service.selfinstruct.similarity.vocabulary import Vocabulary

# Bytes of a UTF-16 code unit; a character beyond the first 65,536 takes two units.
_UNIT = 2
# Maximum number of tokens in the cache of decoded texts, 2 or 4 bytes each: some five thousand typical texts.
_MOST_KEPT = 1 << 18
# Number of texts per chunk.
_CHUNK = 32_768


class TokenStore:
    """Append-only token sequences by position. Each token is a character (`vocabulary`), stored as UTF-16."""

    def __init__(self) -> None:
        self.vocabulary = Vocabulary()
        self._units = bytearray()
        self._ends = array("I", [0])
        self._lengths = array("I")
        self._kept: dict[int, str] = {}
        self._kept_tokens = 0

    def __len__(self) -> int:
        return len(self._lengths)

    @property
    def nbytes(self) -> int:
        """Size of the texts, in bytes, without the vocabulary."""
        return len(self._units) + self._ends.itemsize * len(self._ends) + self._lengths.itemsize * len(self._lengths)

    @property
    def lengths(self) -> npt.NDArray[np.uint32]:
        """Token count of each text: a view, which must be released before a text is added."""
        return np.frombuffer(self._lengths, np.uint32)

    def add(self, tokens: Iterable[str]) -> None:
        """Append a text.

        Raises:
            BufferError: a view of `lengths` is still in use; no text was added.
            OverflowError: the texts have more than 4 billion tokens.
        """
        encoded = self.vocabulary.learn(tokens)
        units = encoded.encode("utf-16-le")
        self._lengths.append(len(encoded))  # first: it fails while a view of the lengths is in use
        self._units += units
        self._ends.append(len(self._units) // _UNIT)

    def __getitem__(self, position: int) -> str:
        units = self._units[self._ends[position] * _UNIT : self._ends[position + 1] * _UNIT]
        return utf_16_le_decode(units, "strict", True)[0]  # noqa: FBT003 - a built-in that takes no keywords

    def at(self, positions: npt.NDArray[np.intp]) -> list[str]:
        """Return the texts at these positions, from a cache: texts that resemble many others are read repeatedly."""
        places = positions.tolist()
        found = [self._kept.get(place) for place in places]
        return [self._keep(place) if text is None else text for place, text in zip(places, found, strict=True)]

    def _keep(self, position: int) -> str:
        text = self[position]
        self._kept_tokens += len(text)
        if self._kept_tokens > _MOST_KEPT:
            self._kept.clear()
            self._kept_tokens = len(text)
        self._kept[position] = text
        return text

    def chunks(self, start: int, end: int) -> Iterator[tuple[int, "TokenRuns"]]:
        """Yield the tokens of the texts start … end - 1 in chunks, each with the position of its first text."""
        for at in range(start, end, _CHUNK):
            yield at, self.tokens(at, min(at + _CHUNK, end))

    def tokens(self, first: int, last: int) -> "TokenRuns":
        """Return the tokens of the texts first … last - 1."""
        units = self._units[self._ends[first] * _UNIT : self._ends[last] * _UNIT]
        lengths = np.array(self._lengths[first:last], np.int64)
        return TokenRuns(codes_of(units.decode("utf-16-le")), np.concatenate([[0], np.cumsum(lengths)]))


class TokenRuns:
    """Concatenated texts: the `codes` (uint32) of all tokens; text k has those at starts[k] … starts[k + 1] - 1."""

    def __init__(self, codes: npt.NDArray[np.uint32], starts: npt.NDArray[np.int64]) -> None:
        self.codes = codes
        self.starts = starts
        self.lengths = np.diff(starts)

    def owners(self) -> npt.NDArray[np.int64]:
        """Return the number of each token's text, from 0."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)


def codes_of(encoded: str) -> npt.NDArray[np.uint32]:
    """Return the code points of tokens encoded as characters."""
    return np.frombuffer(encoded.encode("utf-32-le"), "<u4")
