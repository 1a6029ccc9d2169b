"""Whole numbers by number, in eight bytes each: for millions of them, where a dictionary would take a hundred."""

from array import array

_PAGE = 1_024


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
