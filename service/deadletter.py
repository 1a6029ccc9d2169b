"""Where a record goes that cannot be read: to its topic's dead letters, byte-identical, with the reason in headers."""

from datetime import UTC, datetime

from service.broker import DEAD_LETTERS, NewRecord, Record
from service.errors import DecodeError

_PREFIX = "__seedstream.errors."
_LONGEST_MESSAGE = 1_000


def dead_letter(record: Record, error: DecodeError, stage: str) -> NewRecord:
    """Return the dead letter of a record that `stage` could not read."""
    facts = {
        "topic": record.partition.topic,
        "partition": str(record.partition.number),
        "offset": str(record.offset),
        "stage": stage,
        "exception.class.name": type(error).__qualname__,
        "exception.message": str(error)[:_LONGEST_MESSAGE],
        "first_failure_ts": datetime.now(UTC).isoformat(),
    }
    return NewRecord(
        topic=record.partition.topic + DEAD_LETTERS,
        key=record.key,
        value=record.value,
        headers=(*record.headers, *((_PREFIX + name, value.encode()) for name, value in facts.items())),
    )
