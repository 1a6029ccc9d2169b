"""Bookmarks: the place of a reader on the log, which a later reader can check against the log and continue from."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from msgspec import Struct

from service.messaging.broker import Partition, Record


class Mark(Struct, frozen=True):
    """A place in a partition that began at offset `begin`: everything below `position` has been read.

    `last` is the offset of the last record read and `digest` its digest. `last` is `None` if there is none to compare.
    """

    begin: int
    position: int
    last: int | None = None
    digest: str = ""


class Bookmark(Struct, frozen=True):
    """A place in each of some partitions, and the time of the latest record read, in milliseconds of Unix time."""

    marks: Mapping[Partition, Mark]
    latest_ms: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the bookmark as plain values."""
        marks = [[at.topic, at.number, m.begin, m.position, m.last, m.digest] for at, m in self.marks.items()]
        return {"marks": marks, "latest_ms": self.latest_ms}

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> "Bookmark":
        marks = {Partition(topic, number): Mark(*rest) for topic, number, *rest in values["marks"]}
        return cls(marks, values["latest_ms"])


def digest_of(record: Record) -> str:
    """Return a digest of everything in a record, its offset and time included."""
    content = (record.offset, record.timestamp_ms, record.key, record.value, tuple(record.headers))
    return blake2b(repr(content).encode(), digest_size=16).hexdigest()
