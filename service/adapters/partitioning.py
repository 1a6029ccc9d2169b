"""Size check and choice of partition for a new record, shared by all brokers."""

from service.errors import BrokerError, RecordTooLargeError, TopicMissingError
from service.messaging.broker import NewRecord
from service.messaging.record_size import max_bytes_of, size_of


def checked_size(record: NewRecord, max_record_bytes: int) -> int:
    """Return the bytes of key, value and headers together, which are within the limit of the record's topic.

    Raises:
        RecordTooLargeError: the record exceeds the limit.
        BrokerError: the name of a header cannot be encoded.
    """
    size, limit = size_of(record), max_bytes_of(record.topic, max_record_bytes)
    if size > limit:
        raise RecordTooLargeError(f"{record.topic}: expected a record of at most {limit} bytes, got {size}")
    for name, _ in record.headers:
        if name.isascii():
            continue
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise BrokerError(f"{record.topic}: expected header names that UTF-8 can encode, got {name!r}") from error
    return size


def partition_number(record: NewRecord, partitions: int, turn: int) -> int:
    """Return the partition of a record: the one it names, else by the murmur2 hash of its key, else round-robin.

    `turn` is the caller's round-robin counter.

    Raises:
        TopicMissingError: the topic has no such partition.
    """
    if record.partition is not None:
        if record.partition not in range(partitions):
            raise TopicMissingError(f"expected a partition {record.topic}/{record.partition}, and there is none")
        return record.partition
    if record.key is None or partitions == 1:
        return turn % partitions
    from aiokafka.partitioner import murmur2  # noqa: PLC0415 - with all of aiokafka; most embedded logs never hash

    key_hash: int = murmur2(record.key)
    return (key_hash & 0x7FFFFFFF) % partitions
