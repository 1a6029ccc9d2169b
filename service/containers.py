"""A set and a table by non-negative integers, compact for millions of them with few gaps."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_PAGE = 1_024


class DenseSet:
    """A set of non-negative integers, stored as a watermark (all numbers below it are in) and the few above it."""

    def __init__(self) -> None:
        self._below = 0
        self._above: set[int] = set()

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and (number < self._below or number in self._above)

    def add(self, number: int) -> None:
        """Add a number and advance the watermark over any run of numbers that it completes."""
        if number < self._below:
            return
        self._above.add(number)
        while self._below in self._above:
            self._above.remove(self._below)
            self._below += 1


class RowTable:
    """Rows of named integer fields by non-negative number, all 0 at first, in pages of 1,024 rows.

    A row is a view of its page: `table[7]["cost"] = 5` writes to the table. Values read are numpy's: convert them with
    `int` before sums that may leave 64 bits.
    """

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        self._dtype = np.dtype(list(fields))
        self._pages: dict[int, npt.NDArray[np.void]] = {}

    def __getitem__(self, number: int) -> np.void:
        page = self._pages.get(number // _PAGE)
        if page is None:
            page = self._pages[number // _PAGE] = np.zeros(_PAGE, self._dtype)
        row: np.void = page[number % _PAGE]
        return row
