r"""Lets consumers of aiokafka read records whose header names are not UTF-8.

Kafka stores such a record of another program. aiokafka raises UnicodeDecodeError whenever it comes to it, so a reader
would never get past it. Here the rest of that fetch is decoded once more, by aiokafka's code in Python instead of C,
and bytes of a name that are not UTF-8 become escapes, such as `\xff`. All else is decoded as before.

aiokafka has no option for this: its module `fetcher` is given other classes.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Self, SupportsIndex

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy
from aiokafka.structs import ConsumerRecord


class _Bytes(bytearray):
    """Bytes whose slices decode whatever they are: those that are not UTF-8 become escapes."""

    def __getitem__(self, at: SupportsIndex | slice) -> Any:
        found = super().__getitem__(at)
        return _Bytes(found) if isinstance(found, bytearray) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    """A batch of records with any header names."""

    def __iter__(self) -> Self:
        super().__iter__()  # uncompresses the records
        self._buffer: bytearray = _Bytes(self._buffer)
        return self


class _Batches:
    """The rest of a fetch, as batches."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self._left = deque(batches)

    def has_next(self) -> bool:
        return bool(self._left)

    def next_batch(self) -> Any:
        return self._left.popleft()


def _lenient(data: bytes, offset: int) -> Iterator[Any]:
    """Yield the batches of a fetch from the one on that `offset` is in."""
    records = _MemoryRecordsPy(data)
    while records.has_next():
        content = records._next_slice  # noqa: SLF001 - a batch does not give its content
        batch = records.next_batch()
        if batch.next_offset > offset:
            yield _LenientBatch(content) if isinstance(batch, DefaultRecordBatch) else batch


class _MemoryRecords(MemoryRecords):  # type: ignore[misc]
    """The records of a fetch, which keep its bytes."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


class _PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """The records of a fetch, of the type of a consumer's result, with any header names."""

    def _unpack_records(self) -> Iterator[ConsumerRecord[bytes, bytes]]:
        try:
            yield from super()._unpack_records()
        except UnicodeDecodeError:
            self._records: Any = _Batches(_lenient(self._records.data, self.next_fetch_offset))
            yield from super()._unpack_records()


def allow_any() -> None:
    """Let the consumers of this process read any header names."""
    fetcher.MemoryRecords = _MemoryRecords
    fetcher.PartitionRecords = _PartitionRecords
