"""Fake embedding models."""

import zlib
from collections.abc import Sequence

import numpy as np

from service.selfinstruct.vectors import DIMENSIONS, Vector, quantised

# Words with the same meaning.
_SAME = {"lake": "sea", "ocean": "sea", "verse": "poem", "compose": "write", "on": "about"}


class BagOfWords:
    """An embedding of the set of words, with some synonyms. It records the texts that it embeds."""

    def __init__(self, model: str = "bag-of-words") -> None:
        self.model = model
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str], /) -> Vector:
        self.asked += texts
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, zlib.crc32(_SAME.get(word, word).encode()) % DIMENSIONS] += 1
        return quantised(vectors)
