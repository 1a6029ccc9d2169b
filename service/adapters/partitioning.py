"""What every broker does with a record before it takes it: how large it is, and where it goes."""

from aiokafka.partitioner import murmur2

from service.errors import RecordTooLargeError, TopicMissingError
from service.messaging.broker import DEAD_LETTER_HEADROOM_BYTES, DEAD_LETTERS, NewRecord


def check_size(record: NewRecord, max_record_bytes: int) -> None:
    """Check that key, value and headers together stay below the limit; dead letters have room for their reason.

    Raises:
        RecordTooLargeError: they do not.
    """
    size = len(record.key or b"") + len(record.value or b"")
    size += sum(len(name) + len(value or b"") for name, value in record.headers)
    limit = max_bytes_of(record.topic, max_record_bytes)
    if size > limit:
        raise RecordTooLargeError(f"{record.topic}: expected a record of at most {limit} bytes, got {size}")


def max_bytes_of(topic: str, max_record_bytes: int) -> int:
    """Return how large a record of a topic may be."""
    return max_record_bytes + DEAD_LETTER_HEADROOM_BYTES * topic.endswith(DEAD_LETTERS)


def partition_number(record: NewRecord, partitions: int, turn: int) -> int:
    """Return the partition that a record goes to: the one it names, that of its key, or else the next in turn.

    Raises:
        TopicMissingError: the topic has no such partition.
    """
    if record.partition is not None:
        if record.partition not in range(partitions):
            raise TopicMissingError(f"expected a partition {record.topic}/{record.partition}, and there is none")
        return record.partition
    if record.key is None:
        return turn % partitions
    key_hash: int = murmur2(record.key)
    return (key_hash & 0x7FFFFFFF) % partitions
