"""A set and a table by whole numbers, compact for millions of them; their content is saved and restored quickly.

Both are stored in pages that are made at first use, so that gaps cost nothing. A page that belongs to a snapshot, or to
memory mapped from a file, is copied before it is changed.
"""

import struct
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Generic, TypeVar

_ROWS = 4_096
_BITS = 8

Page = TypeVar("Page")
Arrays = Mapping[str, Sequence[memoryview]]


class PagedTable(Generic[Page]):
    """Rows by number, in pages with an array for each column; all values are 0 at first.

    `new_page` makes a page from its arrays; it keeps them as attributes with the names of `columns`, whose values are
    type codes of the module `array`.
    """

    def __init__(self, new_page: Callable[..., Page], columns: Mapping[str, str]) -> None:
        self._new_page = new_page
        self._columns: Mapping[str, Any] = columns
        self._own: dict[int, Page] = {}
        self._shared: dict[int, Page] = {}

    def row(self, number: int) -> tuple[Page, int]:
        """Return the page of a row, to be read or changed, and the row's place there."""
        page = self._own.get(number // _ROWS)
        if page is None:
            page = self._take(number // _ROWS)
        return page, number % _ROWS

    def look(self, number: int) -> tuple[Page | None, int]:
        """Return the page of a row, only to be read, and the row's place there; no page if all its rows are 0."""
        return self._own.get(number // _ROWS) or self._shared.get(number // _ROWS), number % _ROWS

    def pages(self) -> Iterator[Page]:
        """Yield all pages, only to be read."""
        return chain(self._own.values(), self._shared.values())

    def snapshot(self, name: str) -> Arrays:
        """Return the content as arrays under names that begin with `name`; later changes leave them alone."""
        self._shared |= self._own
        self._own = {}
        arrays: dict[str, Sequence[memoryview]] = {f"{name}.pages": [memoryview(array("q", self._shared))]}
        for column in self._columns:
            arrays[f"{name}.{column}"] = [getattr(page, column) for page in self._shared.values()]
        return arrays

    def restore(self, name: str, arrays: Arrays) -> None:
        """Take the content of a snapshot, before any other content."""
        columns = [arrays[f"{name}.{column}"] for column in self._columns]
        numbers = [number for piece in arrays[f"{name}.pages"] for number in piece.tolist()]
        for place, number in enumerate(numbers):
            self._shared[number] = self._new_page(*(_page_of(pieces, place) for pieces in columns))

    def _take(self, number: int) -> Page:
        """Return the page of this number for changes: new, or a copy of one that is shared."""
        shared = self._shared.pop(number, None)
        columns = (
            memoryview(bytearray(struct.calcsize(code) * _ROWS if shared is None else getattr(shared, name))).cast(code)
            for name, code in self._columns.items()
        )
        page = self._own[number] = self._new_page(*columns)
        return page


def _page_of(pieces: Sequence[memoryview], place: int) -> memoryview:
    """Return a page of a column, which is given page by page, or in one piece as it is in a file."""
    return pieces[place] if len(pieces) > 1 else pieces[0][place * _ROWS : (place + 1) * _ROWS]


@dataclass(slots=True)
class _Bits:
    bits: memoryview


class DenseSet:
    """A set of whole numbers, stored as a bit for each."""

    def __init__(self) -> None:
        self._table = PagedTable(_Bits, {"bits": "B"})

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        page, place = self._table.look(number // _BITS)
        return page is not None and bool(page.bits[place] & 1 << number % _BITS)

    def add(self, number: int) -> bool:
        """Add a number; returns whether it is new."""
        page, place = self._table.row(number // _BITS)
        before, bit = page.bits[place], 1 << number % _BITS
        page.bits[place] = before | bit
        return not before & bit

    def count(self) -> int:
        """Return the number of members, which are counted anew."""
        return sum(int.from_bytes(page.bits).bit_count() for page in self._table.pages())

    def snapshot(self, name: str) -> Arrays:
        """Return the content as arrays under names that begin with `name`; later changes leave them alone."""
        return self._table.snapshot(name)

    def restore(self, name: str, arrays: Arrays) -> None:
        """Take the content of a snapshot, before any other content."""
        self._table.restore(name, arrays)
