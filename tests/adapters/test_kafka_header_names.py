"""Records of other programs whose header names are not UTF-8, in the bytes of a fetch."""

import gzip
import struct
from collections.abc import Sequence

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import ConsumerRecord, TopicPartition

import service.adapters.kafka  # noqa: F401 - its import lets aiokafka read such records

_PARTITION = TopicPartition("topic", 0)
_LENGTH_AT, _CRC_AT, _CHECKED_FROM, _RECORDS_FROM = 8, 17, 21, 61
_GZIP = 1
_PRODUCER = 7


def batch(values: Sequence[str], first: int, *, compression: int = 0, producer: int = -1) -> bytes:
    """Return a batch whose records have a header with the name of their value; `?` in it stands for a bad byte."""
    builder = DefaultRecordBatchBuilder(2, 0, int(producer >= 0), producer, 0, 0, 1_000_000)
    for place, value in enumerate(values):
        builder.append(place, 0, None, value.encode(), [(value, b"")])
    built = bytearray(builder.build()).replace(b"?", b"\xff")
    if compression:
        built[_RECORDS_FROM:] = gzip.compress(built[_RECORDS_FROM:])
        built[_CHECKED_FROM + 1] |= compression
    struct.pack_into(">qi", built, 0, first, len(built) - _LENGTH_AT - 4)
    struct.pack_into(">I", built, _CRC_AT, calc_crc32c(bytes(built[_CHECKED_FROM:])))
    return bytes(built)


def read(data: bytes, offset: int = 0, aborted: Sequence[tuple[int, int]] = ()) -> list[ConsumerRecord[bytes, bytes]]:
    """Return the records of a fetch from `offset` on; `aborted` are transactions: producer and first offset."""
    content, check, isolation = fetcher.MemoryRecords(data), True, fetcher.READ_COMMITTED
    return list(fetcher.PartitionRecords(_PARTITION, content, aborted, offset, None, None, check, isolation))


def names(records: Sequence[ConsumerRecord[bytes, bytes]]) -> list[str]:
    return [name for record in records for name, _ in record.headers]


@pytest.mark.parametrize("compression", [0, _GZIP])
def test_names_that_are_not_utf8_are_escaped(compression: int) -> None:
    data = batch(["é", "b?", "c"], 0, compression=compression) + batch(["?d", "e"], 3, compression=compression)
    records = read(data)
    assert names(records) == ["é", "b\\xff", "c", "\\xffd", "e"]
    assert [record.offset for record in records] == [0, 1, 2, 3, 4]
    assert [record.value for record in records] == ["é".encode(), b"b\xff", b"c", b"\xffd", b"e"]


@pytest.mark.parametrize("offset", range(4))
def test_a_reader_begins_within_a_batch(offset: int) -> None:
    data = batch(["a", "b?", "c", "d?"], 0) + batch(["e?"], 4)
    assert [record.offset for record in read(data, offset)] == list(range(offset, 5))


def test_aborted_records_stay_hidden() -> None:
    aborted = batch(["b"], 1, producer=_PRODUCER)
    data = batch(["a"], 0) + aborted + batch(["c?"], 2) + batch(["d?"], 3, producer=_PRODUCER) + batch(["e"], 4)
    assert [record.offset for record in read(data, aborted=[(_PRODUCER, 1)])] == [0, 2, 4]
