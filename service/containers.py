"""A set and a table of non-negative integers, compact for millions of them with few gaps."""

from array import array

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


class IntTable:
    """A table from non-negative integers to 64-bit integers, 0 by default, in pages of 1,024 values (8 KiB)."""

    def __init__(self) -> None:
        self._pages: dict[int, array[int]] = {}

    def __getitem__(self, number: int) -> int:
        page = self._pages.get(number // _PAGE)
        return 0 if page is None else page[number % _PAGE]

    def __setitem__(self, number: int, value: int) -> None:
        page = self._pages.get(number // _PAGE)
        if page is None:
            page = self._pages[number // _PAGE] = array("q", bytes(8 * _PAGE))
        page[number % _PAGE] = value
