"""Checksums of rows, by which damage on a disk is told from a record that another program has written.

Rows of earlier versions have no checksum and are taken as they are.
"""

import struct
from typing import Any
from zlib import crc32

from service.adapters.sqlite.stored_headers import StoredHeaders, dump, parse
from service.messaging.broker import Partition, Record

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
    content = (position, record.timestamp_ms, record.key, record.value, dump(record.headers))
    return (*content, previous, _of_record(*content, previous))


def record_of(partition: Partition, row: tuple[Any, ...]) -> Record | None:
    """Return the record in a row, `None` if the row is damaged. Its values may have any type."""
    position, timestamp_ms, key, value, headers, previous, checksum = row
    try:
        if checksum is None and previous is None:
            return _unprotected(partition, row)
        if checksum != _of_record(position, timestamp_ms, key, value, headers, previous):
            return None
    except (TypeError, ValueError, struct.error):
        return None
    return Record(partition, position & _MASK, key, value, StoredHeaders(headers), timestamp_ms)


def _unprotected(partition: Partition, row: tuple[Any, ...]) -> Record | None:
    """Return the record in a row of an earlier version."""
    position, timestamp_ms, key, value, headers, *_ = row
    if not isinstance(key, bytes | None) or not isinstance(value, bytes | None):
        return None
    try:
        return Record(partition, position & _MASK, key, value, parse(headers), int(timestamp_ms))
    except (TypeError, ValueError, AttributeError):
        return None


def of_texts(*parts: str | int) -> int:
    """Return the checksum of a row of texts and numbers."""
    return crc32("\0".join(map(str, parts)).encode("utf-8", "surrogatepass"))


def _of_record(
    position: int, timestamp_ms: int, key: bytes | None, value: bytes | None, headers: bytes, previous: int
) -> int:
    key_length = -1 if key is None else len(key)
    value_length = -1 if value is None else len(value)
    place = _PLACE.pack(position, timestamp_ms, previous, key_length, value_length)
    return crc32(b"".join((place, key or b"", value or b"", headers)))
