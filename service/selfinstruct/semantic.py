"""Semantic similarity of a candidate to the pool, a signal beside ROUGE-L, which compares only words.

A model maps texts to vectors, and the cosine of two vectors measures the similarity of their meanings. It affects
verdicts only under a recipe with a threshold.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # a recipe that compares no meanings needs no numpy
    from service.selfinstruct.vectors import Neighbour, Vector, VectorOverlay


class Embedder(Protocol):
    """A model of sentence embeddings. It is CPU-bound and is called in a worker thread."""

    @property
    def model(self) -> str:
        """The model's name; vectors of different models cannot be compared."""
        ...

    def embed(self, texts: Sequence[str], /) -> "Vector":
        """Return the vectors of texts, one per row (`vectors.quantised`); a vector depends on its own text only."""
        ...


class MeaningIndex:
    """The vectors of the pool's tasks, in its order, and the model that they are of."""

    def __init__(self, embedder: Embedder) -> None:
        from service.selfinstruct.vectors import VectorIndex  # noqa: PLC0415 - numpy, where meanings are compared alone

        self.model = embedder.model
        self.vectors = VectorIndex()
        self._embedder = embedder

    def overlay(self) -> "Meanings":
        """Return an empty layer over this index, for tasks that are not yet committed."""
        return Meanings(self._embedder, self.vectors.overlay())


class Meanings:
    """Embeddings of the pool and of the tasks that a batch adds to it; positions are those of the pool."""

    def __init__(self, embedder: Embedder, overlay: "VectorOverlay") -> None:
        self.model = embedder.model
        self._embedder = embedder
        self._overlay = overlay
        self._last: tuple[str, Vector] | None = None

    def nearest(self, text: str) -> "Neighbour | None":
        """Return the task nearest in meaning, the first of equals; None while the pool is empty."""
        return self._overlay.nearest(self._embedded(text))

    def add(self, text: str) -> int:
        """Append a text and return its position."""
        return self._overlay.add(self._embedded(text))

    def vector(self, position: int) -> "Vector":
        return self._overlay[position]

    def _embedded(self, text: str) -> "Vector":
        """Return a text's vector. The last one is cached: `nearest` has just embedded a text that `add` accepts."""
        if self._last is None or self._last[0] != text:
            self._last = text, self._embedder.embed([text])[0]
        return self._last[1]
