"""Headers as they are in a row: JSON pairs of name and value, the bytes of which are its first 256 characters."""

from collections.abc import Iterable
from functools import cache

import orjson

from service.messaging.broker import FirstHeaders, LazyHeaders, ParsedHeaders


class StoredHeaders(LazyHeaders, frozen=True, gc=False, eq=False):
    """Headers in a row of the file; the JSON must be whole."""

    _raw: bytes

    def first(self, name: str) -> bytes | None:
        """Return the first value of a header; it is searched for, as long as nothing in it is escaped."""
        mark = _begin_of(name)
        begin = self._raw.find(mark)
        if begin < 0:
            return None
        begin += len(mark)
        value = self._raw[begin : self._raw.index(b'"', begin)]
        return value if value.isascii() and b"\\" not in value else super().first(name)

    def begin_with(self, first: FirstHeaders) -> bool:
        """Return whether these headers are the first ones, as `dump` writes them; they are not parsed."""
        return self._raw.startswith(_dumped(first))

    def parsed(self) -> ParsedHeaders:
        return parse(self._raw)


@cache
def _begin_of(name: str) -> bytes:
    """Return how a header with a value begins. No other place of a row looks like it: quotes in texts are escaped."""
    return orjson.dumps([name, ""])[:-2]


@cache
def _dumped(first: FirstHeaders) -> bytes:
    """Return how a row begins whose first headers are these."""
    return dump(first.parsed)[:-1]


def dump(headers: Iterable[tuple[str, bytes | None]]) -> bytes:
    """Return headers as they are stored."""
    return orjson.dumps([(name, None if value is None else value.decode("latin-1")) for name, value in headers])


def parse(raw: bytes) -> ParsedHeaders:
    """Return the headers in a row.

    Raises:
        TypeError, ValueError, AttributeError: they are damaged.
    """
    return tuple((name, None if value is None else value.encode("latin-1")) for name, value in orjson.loads(raw))
