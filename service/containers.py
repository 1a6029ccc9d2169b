"""A set and a table by non-negative integers, compact for millions of them."""

from collections.abc import Callable
from typing import Generic, TypeVar

_PAGE = 1_024

Page = TypeVar("Page")


class DenseSet:
    """A set of non-negative integers, stored as a bit for each number, in pages: gaps in it cost nothing more."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        page = self._pages.get(number // _PAGE)
        return page is not None and bool(page[number % _PAGE // 8] & 1 << number % 8)

    def add(self, number: int) -> None:
        """Add a number."""
        page = self._pages.get(number // _PAGE)
        if page is None:
            page = self._pages[number // _PAGE] = bytearray(_PAGE // 8)
        page[number % _PAGE // 8] |= 1 << number % 8


class PagedTable(Generic[Page]):
    """Rows by non-negative number, in pages of 1,024 that are made at first use. A page has an array for each column.

    `new_page` returns the page for a number of rows.
    """

    def __init__(self, new_page: Callable[[int], Page]) -> None:
        self._new_page = new_page
        self._pages: dict[int, Page] = {}

    def row(self, number: int) -> tuple[Page, int]:
        """Return the page of a row, and its place there."""
        page = self._pages.get(number // _PAGE)
        if page is None:
            page = self._pages[number // _PAGE] = self._new_page(_PAGE)
        return page, number % _PAGE
