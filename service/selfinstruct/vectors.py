"""Nearest-neighbour search by cosine: exact, and bit-equal on every machine.

Components are integers in -127 … 127. Dot products of such vectors and all their partial sums are integers that a
float32 represents exactly, so that the order in which a library adds them up does not matter.
"""

import base64
import binascii
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from msgspec import Struct

DIMENSIONS = 384
# Vectors per block: as float32 they stay in the cache.
_BLOCK = 1_024
_LARGEST = 127

Vector = npt.NDArray[np.int8]


class Neighbour(Struct, frozen=True):
    """A vector of an index, by its position from 0, and its cosine (-1 … 1) with the query."""

    position: int
    score: float


def quantised(vectors: npt.NDArray[np.float32]) -> Vector:
    """Return vectors, one per row, as integers; each is scaled so that its largest absolute component is 127."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    stretched = vectors * (_LARGEST / np.where(largest > 0, largest, 1))
    return np.rint(stretched).astype(np.int8)


def as_text(vector: Vector) -> str:
    """Return the bytes of a vector in base64."""
    return base64.b64encode(vector.tobytes()).decode()


def from_text(text: str) -> Vector:
    """Return the vector that `as_text` encoded.

    Raises:
        ValueError: the text is not base64 of `DIMENSIONS` bytes.
    """
    try:
        found = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"expected a vector in base64: {error}") from error
    if len(found) != DIMENSIONS:
        raise ValueError(f"expected a vector of {DIMENSIONS} components, got {len(found)}")
    return np.frombuffer(found, np.int8)


class VectorIndex:
    """Append-only index for the nearest vector; 392 bytes per vector."""

    def __init__(self) -> None:
        self._blocks: list[Vector] = []
        self._squares: list[npt.NDArray[np.int64]] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, vector: Vector) -> int:
        """Append a vector and return its position, which is the number of vectors before it."""
        block, row = divmod(self._size, _BLOCK)
        if block == len(self._blocks):
            self._blocks.append(np.zeros((_BLOCK, DIMENSIONS), np.int8))
            self._squares.append(np.zeros(_BLOCK, np.int64))
        self._blocks[block][row] = vector
        self._squares[block][row] = _square(vector)
        self._size += 1
        return self._size - 1

    def __getitem__(self, position: int) -> Vector:
        block, row = divmod(position, _BLOCK)
        vector: Vector = self._blocks[block][row]
        return vector

    def nearest(self, vector: Vector) -> Neighbour | None:
        """Return the vector with the highest cosine, the first of equals; None if the index is empty."""
        query, square = vector.astype(np.float32), _square(vector)
        best = None
        for start, block, squares in self._filled():
            scores = (block.astype(np.float32) @ query) / np.maximum(np.sqrt(squares * square), 1.0)
            place = int(scores.argmax())
            if best is None or scores[place] > best.score:
                best = Neighbour(start + place, float(scores[place]))
        return best

    def snapshot(self) -> list[memoryview]:
        """Return the vectors in pieces; later ones leave them alone."""
        blocks = [block for _, block, _ in self._filled()]
        return [(block if len(block) == _BLOCK else block.copy()).data for block in blocks]

    def restore(self, vectors: memoryview) -> None:
        """Take the vectors of a snapshot, before any other; full blocks stay where they are."""
        for start in range(0, len(vectors), _BLOCK):
            block = np.asarray(vectors[start : start + _BLOCK])
            missing = ((0, _BLOCK - len(block)), (0, 0))
            self._blocks.append(block if len(block) == _BLOCK else np.pad(block, missing))
            self._squares.append(np.square(self._blocks[-1].astype(np.int64)).sum(axis=1))
        self._size = len(vectors)

    def overlay(self) -> "VectorOverlay":
        """Return an empty layer over this index, for vectors that are not yet committed."""
        return VectorOverlay(self)

    def _filled(self) -> Iterator[tuple[int, Vector, npt.NDArray[np.int64]]]:
        for number, (block, squares) in enumerate(zip(self._blocks, self._squares, strict=True)):
            start = number * _BLOCK
            rows = min(_BLOCK, self._size - start)
            yield start, block[:rows], squares[:rows]


class VectorOverlay:
    """Vectors on top of an index that does not change. Positions continue from its end, so it must not grow."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index
        self._added = VectorIndex()

    def __len__(self) -> int:
        return len(self._index) + len(self._added)

    def add(self, vector: Vector) -> int:
        """Append a vector and return the position that it will have in the index."""
        return len(self._index) + self._added.add(vector)

    def __getitem__(self, position: int) -> Vector:
        below = len(self._index)
        return self._index[position] if position < below else self._added[position - below]

    def nearest(self, vector: Vector) -> Neighbour | None:
        """Return the result of an index that holds the vectors of both."""
        below, above = self._index.nearest(vector), self._added.nearest(vector)
        if above is None or (below is not None and below.score >= above.score):
            return below
        return Neighbour(len(self._index) + above.position, above.score)


def _square(vector: Vector) -> int:
    return int(np.square(vector.astype(np.int64)).sum())
