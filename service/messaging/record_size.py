"""The size of records and its limits, which are the same on every broker."""

from service.messaging.broker import DEAD_LETTER_HEADROOM_BYTES, DEAD_LETTERS, Headers, NewRecord

MAX_RECORD_BYTES = 1 << 20


def size_of(record: NewRecord) -> int:
    """Return the bytes of key, value and headers together."""
    return len(record.key or b"") + len(record.value or b"") + size_of_headers(record.headers)


def size_of_headers(headers: Headers) -> int:
    """Return the bytes of names and values together."""
    size = 0
    for name, value in headers:
        size += len(name) if name.isascii() else len(name.encode("utf-8", "replace"))
        size += len(value) if value is not None else 0
    return size


def max_bytes_of(topic: str, max_record_bytes: int = MAX_RECORD_BYTES) -> int:
    """Return the size limit of a topic's records, bytes; a dead letter topic has headroom for the reason."""
    return max_record_bytes + DEAD_LETTER_HEADROOM_BYTES * topic.endswith(DEAD_LETTERS)
