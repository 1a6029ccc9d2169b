"""The rows of an SQLite file whose pages are partly damaged, read page by page without SQLite, which would refuse them.

Every leaf page of a table holds whole rows, so neither the schema nor the pages that lead to it are needed. A row may
be found more than once, and a damaged one may be nonsense: the caller has to check what it gets. The layout is that of
https://www.sqlite.org/fileformat2.html.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

_MAGIC = b"SQLite format 3\0"
_PAGE_BYTES = 4_096
_SIZES = {1 << power for power in range(9, 16)}
_LEAF_OF_TABLE = 0x0D
_LOG_MAGIC = b"\x37\x7f\x06"
_LOG_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24
_MOST_BYTES = 1 << 26
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_ZERO, _ONE, _FIRST_BLOB = 8, 9, 12

Row = tuple[int, list[Any]]


class _NonsenseError(Exception):
    """A number points out of its page, or a row is not of any known shape."""


def rows_of(file: Path) -> Iterator[Row]:
    """Yield the row id and the values of every row that can be read: those of the write-ahead log, then the others.

    Every version of a page is read: where the newest is damaged, an earlier one may be whole.
    """
    with file.open("rb", buffering=0) as opened:
        size, reserved = _layout(_read(opened.fileno(), 0, 100))
        versions = _versions_in(file.with_name(file.name + "-wal"), size)
        pages = _Pages(size, reserved, opened.fileno(), dict(versions))
        for number, page in reversed(versions):
            yield from pages.rows(number, page)
        for number in range(1, os.fstat(opened.fileno()).st_size // size + 1):
            yield from pages.rows(number, pages.stored(number))


def _read(descriptor: int, at: int, length: int) -> bytes:
    """Return bytes of a file; none where the disk cannot read them."""
    try:
        return os.pread(descriptor, length, at)
    except OSError:
        return b""


def _layout(head: bytes) -> tuple[int, int]:
    """Return the size of a page, and the bytes at its end that are not used."""
    size = int.from_bytes(head[16:18], "big")
    if not head.startswith(_MAGIC) or size not in _SIZES:
        return _PAGE_BYTES, 0
    return size, head[20] if head[20] <= _LOG_HEADER_BYTES else 0


def _versions_in(log: Path, size: int) -> list[tuple[int, memoryview]]:
    """Return number and content of the pages in a write-ahead log, up to its last commit, in the order of writing."""
    content = memoryview(log.read_bytes() if log.exists() else b"")
    versions: list[tuple[int, memoryview]] = []
    committed = 0
    if bytes(content[:3]) != _LOG_MAGIC or int.from_bytes(content[8:12], "big") != size:
        return versions
    for at in range(_LOG_HEADER_BYTES, len(content) - size, _FRAME_HEADER_BYTES + size):
        head = content[at : at + _FRAME_HEADER_BYTES]
        if head[8:16] == content[16:24]:  # else it is older than the log's beginning, or damaged
            versions.append((int.from_bytes(head[:4], "big"), content[at + _FRAME_HEADER_BYTES :][:size]))
            committed = len(versions) if any(head[4:8]) else committed
    return versions[:committed]


class _Pages(Struct, frozen=True):
    size: int
    reserved: int
    descriptor: int
    newest: Mapping[int, memoryview]

    def rows(self, number: int, page: memoryview) -> Iterator[Row]:
        """Yield the rows of a version of a page; none if it is not a leaf of a table."""
        head = 100 if number == 1 else 0
        if len(page) < self.size or page[head] != _LEAF_OF_TABLE:
            return
        for place in range(head + 8, min(head + 8 + 2 * _number(page, head + 3, 2), self.size - 1), 2):
            try:
                yield self._row(page, _number(page, place, 2))
            except (_NonsenseError, IndexError, UnicodeDecodeError):
                continue

    def stored(self, number: int) -> memoryview:
        """Return a page as it is in the file, without the write-ahead log."""
        return memoryview(_read(self.descriptor, (number - 1) * self.size, self.size) if number > 0 else b"")

    def _row(self, page: memoryview, at: int) -> Row:
        length, at = _varint(page, at)
        row_id, at = _varint(page, at)
        if length > _MOST_BYTES:
            raise _NonsenseError
        return row_id, _values(self._payload(page, at, length))

    def _payload(self, page: memoryview, at: int, length: int) -> bytes:
        """Return the bytes of a row; what does not fit into its page is in a chain of further pages."""
        usable = self.size - self.reserved
        here = length
        if length > usable - 35:
            least = (usable - 12) * 32 // 255 - 23
            here = least + (length - least) % (usable - 4)
            here = here if here <= usable - 35 else least
        payload = bytearray(page[at : at + here])
        number = _number(page, at + here, 4) if length > here else 0
        while len(payload) < length:
            page = self.newest.get(number) or self.stored(number)
            if number == 0 or len(page) < self.size:
                raise _NonsenseError
            payload += page[4 : min(usable, 4 + length - len(payload))]
            number = _number(page, 0, 4)
        return bytes(payload)


def _values(payload: bytes) -> list[Any]:
    end, at = _varint(payload, 0)
    body = end
    values = []
    while at < end:
        kind, at = _varint(payload, at)
        value, body = _value(payload, kind, body)
        values.append(value)
    return values


def _value(payload: bytes, kind: int, at: int) -> tuple[Any, int]:
    """Return a value of a row, and where the next begins. There are no real numbers in a log."""
    if kind in (0, _ZERO, _ONE):
        return (None if kind == 0 else kind - _ZERO), at
    if kind in _INTEGERS:
        end = at + _INTEGERS[kind]
        return int.from_bytes(_part(payload, at, end), "big", signed=True), end
    if kind < _FIRST_BLOB:
        raise _NonsenseError
    end = at + (kind - _FIRST_BLOB) // 2
    part = _part(payload, at, end)
    return (part.decode() if kind % 2 else part), end


def _part(payload: bytes, at: int, end: int) -> bytes:
    if end > len(payload):
        raise _NonsenseError
    return payload[at:end]


def _number(page: memoryview, at: int, length: int) -> int:
    return int.from_bytes(page[at : at + length], "big")


def _varint(page: memoryview | bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(at, at + 8):
        value = value << 7 | page[place] & 0x7F
        if not page[place] & 0x80:
            return value, place + 1
    return value << 8 | page[at + 8], at + 9
