"""How near a candidate's meaning is to the pool's: a signal beside ROUGE-L, which knows words only.

A model turns texts into vectors, and the cosine of two says how alike they are in meaning. Only a recipe with a
threshold decides by it.
"""

from collections.abc import Sequence
from typing import Protocol

from service.selfinstruct.vectors import Neighbour, Vector, VectorOverlay


class Embedder(Protocol):
    """A model of meanings. It computes, and is called in a worker thread."""

    @property
    def model(self) -> str:
        """The model's name; vectors of two models cannot be compared."""
        ...

    def embed(self, texts: Sequence[str], /) -> Vector:
        """Return the vectors of texts, one a row (`vectors.quantised`); the same for a text whatever is beside it."""
        ...


class Meanings:
    """The meanings of the pool and of what a batch adds to it; positions are those of the pool."""

    def __init__(self, embedder: Embedder, overlay: VectorOverlay) -> None:
        self.model = embedder.model
        self._embedder = embedder
        self._overlay = overlay
        self._last: tuple[str, Vector] | None = None

    def nearest(self, text: str) -> Neighbour | None:
        """Return the task whose meaning is nearest, the first of equals; None while the pool is empty."""
        return self._overlay.nearest(self._embedded(text))

    def add(self, text: str) -> int:
        """Take a text in and return its position."""
        return self._overlay.add(self._embedded(text))

    def vector(self, position: int) -> Vector:
        """Return the vector of the text at a position."""
        return self._overlay[position]

    def _embedded(self, text: str) -> Vector:
        """Return a text's vector; who is accepted has just been asked about, and is not embedded again."""
        if self._last is None or self._last[0] != text:
            self._last = text, self._embedder.embed([text])[0]
        return self._last[1]
