"""A set and a table of whole numbers from 0 on, small where there are millions of them and few holes."""

from array import array

_PAGE = 1_024


class DenseSet:
    """Numbers seen, as a watermark below which all are in, and the few above it."""

    def __init__(self) -> None:
        self._below = 0
        self._above: set[int] = set()

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and (number < self._below or number in self._above)

    def add(self, number: int) -> None:
        """Put a number in."""
        if number < self._below:
            return
        self._above.add(number)
        while self._below in self._above:
            self._above.remove(self._below)
            self._below += 1


class IntTable:
    """A table of whole numbers, 0 where nothing was put. It grows by pages: a stray number costs one of them."""

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
