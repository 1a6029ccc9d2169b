"""Encoding of messages: JSON values with CloudEvents 1.0 headers (Kafka protocol binding, binary mode).

The record of an output names its input in the header `seedstream_cause` (`topic/partition/offset`); a stage that
restarts uses it to find the inputs that already have an output. The record also continues its input's trace (W3C
`traceparent`). The header `seedstream_version` is the version of its writer.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib.metadata import version
from random import Random
from typing import Any, TypeVar

import msgspec
from msgspec import structs

from service.errors import DecodeError, NewerVersionError
from service.messaging.broker import (
    Decoded,
    FirstHeaders,
    Headers,
    LazyHeaders,
    NewRecord,
    ParsedHeaders,
    Partition,
    Record,
    first_value,
)
from service.messaging.messages import Message
from service.messaging.topics import TOPIC_OF_TYPE, Topic

M = TypeVar("M", bound=Message)

CAUSE = "seedstream_cause"
_WRITER = "seedstream_version"
_VERSION = version("seedstream")
_TRACE = "traceparent"
_BEFORE: ParsedHeaders = (("ce_specversion", b"1.0"),)
_BEHIND: ParsedHeaders = ((_WRITER, _VERSION.encode()), ("content-type", b"application/json"))
_TYPES = "io.seedstream."
_TRACE_PARENT = re.compile("[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
# Kafka's offsets have 63 bits and its partition numbers 31.
_CAUSE = re.compile("(.+)/([0-9]{1,10})/([0-9]{1,19})")
_MISSING = re.compile("Object missing required field `(.+)`")
_NUMBERS = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})(?:\.([0-9]{1,9}))?")
_ids = Random()  # noqa: S311 - ids of traces are no secrets


def header(headers: Headers, name: str) -> str | None:
    """Return the first value of a header, decoded as UTF-8, or `None` if it is absent."""
    first = _raw(headers, name)
    return None if first is None else first.decode("utf-8", "replace")


def _raw(headers: Headers, name: str) -> bytes | None:
    return headers.first(name) if isinstance(headers, LazyHeaders) else first_value(headers, name)


@lru_cache(maxsize=64)
def _trace_id(parent: str) -> str | None:
    found = _TRACE_PARENT.fullmatch(parent)
    return None if found is None else found[1]


def _trace(cause: Record | None) -> str:
    parent = header(cause.headers, _TRACE) if cause is not None else None
    trace_id = _trace_id(parent) if parent is not None else None
    return f"00-{trace_id or f'{_ids.getrandbits(128):032x}'}-{_ids.getrandbits(64):016x}-01"


@lru_cache(maxsize=256)
def _envelope(kind: type[Message], run: str) -> tuple[str, ParsedHeaders, ParsedHeaders]:
    """Return the topic of a type of message, and the headers before and behind its id that are always the same."""
    before = (*_BEFORE, ("ce_type", kind.ce_type.encode()))
    return TOPIC_OF_TYPE[kind].of(run), before, (("ce_source", f"/seedstream/{run}".encode()),)


def encode(message: Message, run: str, cause: Record | None = None) -> NewRecord:
    """Return the record of a message, for the topic of its type; `cause` is the input record of an output."""
    topic, before, source = _envelope(type(message), run)
    key = message.key.encode()
    headers: ParsedHeaders = (
        *before,
        ("ce_id", key),
        *source,
        ("ce_time", datetime.now(UTC).isoformat().encode()),
        *_BEHIND,
        (_TRACE, _trace(cause).encode()),
    )
    if cause is not None:
        headers += ((CAUSE, f"{cause.partition}/{cause.offset}".encode()),)
    return NewRecord(topic=topic, key=key, value=message.to_json(), headers=headers)


def is_ours(record: Record) -> bool:
    """Return whether the type header of a record names a Seedstream message, of any version."""
    return (header(record.headers, "ce_type") or "").startswith(_TYPES)


def decode(topic: Topic[M], record: Record) -> M:
    """Return the message in a record.

    Raises:
        NewerVersionError: a newer version of Seedstream wrote the record, and this one cannot read it.
        DecodeError: the type does not belong to the topic, the value is not JSON, or a field is missing or invalid.
    """
    known = record.decoded
    if known is not None and known.is_of(record) and type(known.message) in topic.types:
        return known.message  # type: ignore[no-any-return]
    message: M = _decoder_of(topic.types).decode(record)
    if record.value is not None:
        structs.force_setattr(record, "decoded", Decoded(record.value, record.headers, message))
    return message


def part_decoder(topic: Topic[M]) -> Callable[[Record], M]:
    """Return a function that decodes as `decode` does, for a reader of parts: the record does not keep the message."""
    return _decoder_of(topic.types).decode


class _Decoder:
    """Decodes the records of a topic. Most have the topic's first type, and begin as `encode` begins them."""

    def __init__(self, kinds: tuple[type[Message], ...]) -> None:
        self._expected = " or ".join(kind.ce_type for kind in kinds)
        self._readers: dict[bytes | None, Callable[[bytes], Message]] = {
            kind.ce_type.encode(): _reader(kind) for kind in kinds
        }
        self._usual = FirstHeaders((*_BEFORE, ("ce_type", kinds[0].ce_type.encode())))
        self._usual_reader = _reader(kinds[0])

    def decode(self, record: Record) -> Any:
        """Return the message in a record, as the function `decode` does."""
        value = record.value
        usual = self._usual.are_of(record.headers)
        read = self._usual_reader if usual else self._readers.get(_raw(record.headers, "ce_type"))
        if read is None:
            found = header(record.headers, "ce_type")
            raise _unreadable(record, f"expected a record of type {self._expected}, got {found!r}")
        if value is None:
            raise _unreadable(record, "expected a JSON value, got none")
        try:
            return read(value)
        except (ValueError, RecursionError) as error:
            raise _unreadable(record, f"{header(record.headers, 'ce_type')}: {_explained(error)}") from error


@cache
def _decoder_of(kinds: tuple[type[Message], ...]) -> _Decoder:
    return _Decoder(kinds)


def _reader(kind: type[Message]) -> Callable[[bytes], Message]:
    """Return the function that reads the JSON of a type of message."""
    read = msgspec.json.Decoder(kind).decode
    if kind.check_json.__func__ is Message.check_json.__func__:  # type: ignore[attr-defined]
        return read

    def checked(value: bytes) -> Message:
        kind.check_json(value)
        return read(value)

    return checked


def _explained(error: Exception) -> str:
    """Return the field of an error in a value and what is wrong with it, without the value."""
    if not isinstance(error, msgspec.ValidationError):
        return f"value: {error}"
    what, _, place = str(error).partition(" - at `$")
    field = place.strip(".`")
    if (missing := _MISSING.fullmatch(what)) is not None:
        field, what = f"{field}.{missing[1]}".strip("."), "expected a value, got none"
    elif what.startswith("Invalid enum value"):
        what = "expected a value that this version of Seedstream knows, got another one"
    return f"{field or 'value'}: {what}"


def _unreadable(record: Record, why: str) -> DecodeError:
    where = f"{record.partition}/{record.offset}"
    writer = header(record.headers, _WRITER) or ""
    if _numbers(writer) > _numbers(_VERSION):
        return NewerVersionError(
            f"{where}: {why}; Seedstream {writer} wrote this record, and this is {_VERSION}: upgrade this process"
        )
    return DecodeError(f"{where}: {why}")


def _numbers(of_version: str) -> tuple[int, ...]:
    """Return the numbers of a version, for comparison; those of an unknown one are the lowest."""
    found = _NUMBERS.match(of_version)
    return tuple(int(number or 0) for number in found.groups()) if found is not None else ()


def has_cause(record: Record) -> bool:
    """Return whether a record names its input, well or badly."""
    return header(record.headers, CAUSE) is not None


def cause_of(record: Record) -> tuple[Partition, int] | None:
    """Return the partition and offset of a record's input, or `None` if the record names none, or no place."""
    found = _CAUSE.fullmatch(header(record.headers, CAUSE) or "")
    return None if found is None else (Partition(found[1], int(found[2])), int(found[3]))
