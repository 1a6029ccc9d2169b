"""Checksums of rows, by which damage on a disk is told from a record that another program has written.

Rows of earlier versions have no checksum and are taken as they are.
"""

import struct
from typing import Any
from zlib import crc32

import orjson

from service.messaging.broker import Headers, Partition, Record

OFFSET_BITS = 40
_MASK = (1 << OFFSET_BITS) - 1
_PLACE = struct.Struct(">qqqqq")

RecordRow = tuple[int, int, bytes | None, bytes | None, bytes, int, int]


def position_of(partition_id: int, offset: int) -> int:
    """Return the row id of a record."""
    return partition_id << OFFSET_BITS | offset


def record_row(partition_id: int, record: Record, previous: int) -> RecordRow:
    """Return the row of a record; `previous` is the offset of the record before it in its partition, else -1."""
    position = position_of(partition_id, record.offset)
    content = (position, record.timestamp_ms, record.key, record.value, _dump_headers(record.headers))
    return (*content, previous, _of_record(*content, previous))


def record_of(partition: Partition, row: tuple[Any, ...]) -> Record | None:
    """Return the record in a row, `None` if the row is damaged. Its values may have any type."""
    position, timestamp_ms, key, value, headers, previous, checksum = row
    try:
        if (checksum, previous) != (None, None) and checksum != _of_record(*row[:6]):
            return None
        if not isinstance(key, bytes | None) or not isinstance(value, bytes | None):
            return None
        return Record(partition, position & _MASK, key, value, _load_headers(headers), int(timestamp_ms))
    except (TypeError, ValueError, AttributeError, struct.error):
        return None


def of_texts(*parts: str | int) -> int:
    """Return the checksum of a row of texts and numbers."""
    return crc32("\0".join(map(str, parts)).encode("utf-8", "surrogatepass"))


def _of_record(
    position: int, timestamp_ms: int, key: bytes | None, value: bytes | None, headers: bytes, previous: int
) -> int:
    lengths = (-1 if part is None else len(part) for part in (key, value))
    found = crc32(_PLACE.pack(position, timestamp_ms, previous, *lengths))
    for part in (key, value, headers):
        found = crc32(part or b"", found)
    return found


def _dump_headers(headers: Headers) -> bytes:
    return orjson.dumps([(name, None if value is None else value.decode("latin-1")) for name, value in headers])


def _load_headers(raw: bytes) -> Headers:
    return tuple((name, None if value is None else value.encode("latin-1")) for name, value in orjson.loads(raw))
