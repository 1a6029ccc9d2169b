"""Ranges of each token's postings. Long lists have a grid by load and reach, so that few postings are read."""

from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt

from service.selfinstruct.similarity.bounds import REACH_STEPS, QueryBounds
from service.selfinstruct.similarity.query import Places

# Lists of at most this many postings are read whole.
_LONG = 1_024
# Lowest loads (`Bounds.load`) of bands, each a fifth wider than the one before; a query reads some seven bands.
_BANDS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 15, 18, 22, 27, 32, 38, 46, 55, 66, 79, 95, 114], np.uint8)
# Steps of reach (`Bounds.reach`), one per token; the last step holds all greater reaches.
_STEPS = 48

_BAND_BITS, _REACH_BITS = 5, 8
_BAND_OF = np.searchsorted(_BANDS, np.arange(256), "right") - 1
_CELLS = (np.arange(len(_BANDS))[:, None] << _REACH_BITS | np.arange(_STEPS) * REACH_STEPS).ravel()
_END = len(_BANDS) << _REACH_BITS
_BEYOND = 1 << 40

Keys = npt.NDArray[np.int64]
Value = TypeVar("Value", bound=np.generic)


def keys(ranks: Keys, loads: npt.NDArray[np.uint8], reach: npt.NDArray[np.uint8]) -> Keys:
    """Return the sort keys of postings: rank, band of the load, and reach in one integer."""
    key: Keys = (ranks << _BAND_BITS | _BAND_OF[loads]) << _REACH_BITS | reach
    return key


@dataclass(frozen=True, slots=True)
class Stretches:
    """Ranges of postings, `begins` … `ends` - 1 each, and the number of the list that each range belongs to."""

    begins: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    lists: Places

    def rows(self) -> Places:
        """Return the row numbers of all postings in the ranges."""
        sizes = self.ends - self.begins
        upto = sizes.cumsum()
        rows = np.arange(upto[-1] if len(upto) else 0)
        rows += (self.begins - upto + sizes).repeat(sizes)
        return rows

    def each(self, of_list: npt.NDArray[Value]) -> npt.NDArray[Value]:
        """Return, for each posting in the ranges, the value of its list."""
        return of_list.take(self.lists).repeat(self.ends - self.begins)


@dataclass(frozen=True, slots=True)
class PostingLists:
    """The lists of all ranks, one after another, each sorted by band and reach."""

    _starts: npt.NDArray[np.int64]
    """Start of the list of each rank, and the end of the last list."""
    _long: npt.NDArray[np.int64]
    """Ranks of the long lists, ascending, and a sentinel above all ranks."""
    _grid: npt.NDArray[np.uint32]
    """Start of each band and step of reach in each long list, and the end of the list: (lists, bands * steps + 1)."""

    @property
    def nbytes(self) -> int:
        """Size of the arrays, in bytes."""
        return self._starts.nbytes + self._long.nbytes + self._grid.nbytes

    @classmethod
    def build(cls, postings: Keys, ranks: int) -> Self:
        """Return the lists of `ranks` ranks; `postings` are the sorted keys of the postings."""
        starts = np.searchsorted(postings, np.arange(ranks + 1) << _BAND_BITS + _REACH_BITS)
        long = np.flatnonzero(np.diff(starts) > _LONG)
        cells = (long << _BAND_BITS + _REACH_BITS)[:, None] + np.append(_CELLS, _END)
        grid = np.searchsorted(postings, cells.ravel()).astype(np.uint32).reshape(cells.shape)
        return cls(starts, np.append(long, _BEYOND), grid)

    def within_reach(
        self, ranks: npt.NDArray[np.int32], rooms: npt.NDArray[np.int16], bounds: QueryBounds
    ) -> Stretches:
        """Return the postings whose load and reach allow a match.

        Args:
            ranks: the ranks of the lists to read, ascending; the result numbers these lists from 0.
            rooms: for each list, the upper limit of the load (`QueryBounds.rooms`).
            bounds: the bounds of the query.
        """
        rows = self._long.searchsorted(ranks)
        is_long = self._long.take(rows) == ranks
        long, short = is_long.nonzero()[0], (~is_long).nonzero()[0]
        lowest = int(_BAND_OF[bounds.lightest])
        light_enough = _BANDS[lowest:] <= rooms[long, None]
        bands = rows[long, None], np.arange(lowest, len(_BANDS)) * _STEPS
        step = min(bounds.reach // REACH_STEPS, _STEPS - 1)
        begins = self._grid[bands[0], bands[1] + step][light_enough]
        ends = self._grid[bands[0], bands[1] + _STEPS][light_enough]
        whole = ranks[short]
        return Stretches(
            np.concatenate([self._starts.take(whole), begins]),
            np.concatenate([self._starts.take(whole + 1), ends]),
            np.concatenate([short, np.repeat(long, light_enough.sum(axis=1))]),
        )
