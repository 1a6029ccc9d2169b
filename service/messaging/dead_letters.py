"""Dead letters: records that a stage could not process, unchanged, with the reason in added headers.

Each topic has a dead letter topic. `seedstream replay` puts dead letters back into their topic after a fix. Headers of
a record that was put back say so, and they stay on the record if it fails again.

A dead letter always fits its topic. A record of another program may be too large for that: its dead letter then holds
lengths and digests instead of long parts, and cannot be put back.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version

from msgspec.structs import replace

from service.errors import SeedstreamError
from service.messaging.broker import DEAD_LETTERS, Headers, NewRecord, Record
from service.messaging.codec import header
from service.messaging.messages import Message
from service.messaging.record_size import MAX_RECORD_BYTES, max_bytes_of, size_of, size_of_headers
from service.messaging.topics import CANDIDATES, CLASSIFIED, INSTANCES, INSTRUCTIONS, PROMPTS, Topic

REPLAYED = "seedstream_replayed"
_ATTEMPTS = "seedstream_attempts"
_FIRST_FAILURE = "seedstream_first_failure_ts"
_PREFIX = "__seedstream.errors."
_LONGEST_MESSAGE = 1_000
_LEFT_OUT = "left_out"
# A key or value up to this length stays in the dead letter of a record that does not fit as a whole.
_SHORT_BYTES = 1_024
# The most bytes that the lengths of a header's name and value take up on the wire.
_HEADER_BYTES = 10
_NUMBER = re.compile("[0-9]{1,15}")
_APP_VERSION = version("seedstream")


class DeadLetter(Message, frozen=True, kw_only=True):
    """Facts about a dead letter, read from its record; another program may have written that record.

    `id` is the record's key, as text, `kind` the type in its headers. `origin` is the `topic/partition/offset` of the
    original record, `place` that of the dead letter. With `put_back`, the record has been written to its topic again.
    `stays` is the reason why the record can never be put back.
    """

    id: str
    kind: str | None = None
    topic: str
    place: str
    origin: str | None
    stage: str | None
    reason: str
    attempts: int
    put_back: bool = False
    stays: str | None = None

    @classmethod
    def of(cls, record: Record, *, put_back: bool = False) -> "DeadLetter":
        """Return the facts that the headers give; a record written by hand may lack all of them.

        With `put_back`, all dead letters up to this one have been put back, except those that stay.
        """
        where = _facts(record, "topic", "partition", "offset")
        why = _facts(record, "exception.class.name", "exception.message")
        stays = _reason_to_stay(record)
        return cls(
            id=(record.key or b"").decode("utf-8", "replace"),
            kind=header(record.headers, "ce_type"),
            topic=record.partition.topic.removesuffix(DEAD_LETTERS).rpartition(".")[2],
            place=f"{record.partition}/{record.offset}",
            origin="/".join(where) or None,
            stage=_fact(record.headers, "stage"),
            reason=": ".join(why) or "no reason given",
            attempts=_number(_fact(record.headers, "attempts")) or 0,
            put_back=put_back and stays is None,
            stays=stays,
        )


STAGE_INPUTS: tuple[Topic[Message], ...] = (PROMPTS, CANDIDATES, INSTRUCTIONS, CLASSIFIED, INSTANCES)
DEAD_LETTER_TOPICS: tuple[Topic[DeadLetter], ...] = tuple(
    Topic(topic.name + DEAD_LETTERS, (DeadLetter,), topic.fanned_out) for topic in STAGE_INPUTS
)


def replay_group(run: str) -> str:
    """Return the consumer group of `replay`; dead letters below its committed offsets have been put back."""
    return f"seedstream.{run}.replay"


def dead_letter(record: Record, error: SeedstreamError, stage: str, group: str | None = None) -> NewRecord:
    """Return the dead letter for a record that `stage`, a member of `group`, could not process.

    Its headers are the record's own, then the facts of this failure. If it would be too large for its topic, it holds
    only the parts of the record that fit, with the length and the SHA-256 digest of a key or value that it lacks.
    """
    topic, now = record.partition.topic, datetime.now(UTC).isoformat()
    facts = {
        "topic": topic,
        "partition": str(record.partition.number),
        "offset": str(record.offset),
        "stage": stage,
        "consumer_group": group or f"{topic.rpartition('.')[0]}.{stage}",
        "app_version": _APP_VERSION,
        "exception.class.name": type(error).__qualname__,
        "exception.message": str(error)[:_LONGEST_MESSAGE],
        "attempts": str(1 + _failed_before(record)),
        "first_failure_ts": header(record.headers, _FIRST_FAILURE) or now,
    }
    whole = NewRecord(topic + DEAD_LETTERS, record.value, record.key, (*record.headers, *_as_headers(facts)))
    return whole if _fits(whole) else _abridged(whole, record.headers, facts)


def _as_headers(facts: Mapping[str, str]) -> Headers:
    return tuple((_PREFIX + name, value.encode("utf-8", "replace")) for name, value in facts.items())


def _fits(letter: NewRecord) -> bool:
    return size_of(letter) + _HEADER_BYTES * len(letter.headers) <= max_bytes_of(letter.topic)


def _abridged(letter: NewRecord, own: Headers, facts: Mapping[str, str]) -> NewRecord:
    """Return a dead letter without a long key or value, and with those of the record's own headers that fit."""
    parts = {"key": letter.key or b"", "value": letter.value or b""}
    long = {name: part for name, part in parts.items() if len(part) > _SHORT_BYTES}
    facts = dict(facts) | {_LEFT_OUT: ", ".join(f"{name} ({len(part)} bytes)" for name, part in long.items())}
    for name, part in long.items():
        facts |= {f"{name}.bytes": str(len(part)), f"{name}.sha256": sha256(part).hexdigest()}
    short = replace(
        letter,
        key=None if "key" in long else letter.key,
        value=None if "value" in long else letter.value,
        headers=_as_headers(facts),
    )
    kept, room = list[tuple[str, bytes | None]](), max_bytes_of(letter.topic) - size_of(short) - _SHORT_BYTES
    for each in own:
        size = size_of_headers((each,)) + _HEADER_BYTES
        if size <= room:
            kept.append(each)
            room -= size
    if len(kept) < len(own):
        lacking = f"{len(own) - len(kept)} headers"
        facts[_LEFT_OUT] = f"{facts[_LEFT_OUT]}, {lacking}" if long else lacking
    return replace(short, headers=(*kept, *_as_headers(facts)))


def _reason_to_stay(letter: Record) -> str | None:
    """Return the reason why a dead letter cannot be put back, or `None` if it can be."""
    left_out = _fact(letter.headers, _LEFT_OUT)
    if left_out is not None:
        return f"too large for a dead letter, which lacks {left_out}; the record itself is where it was"
    if (size := size_of(put_back(letter, 1))) > MAX_RECORD_BYTES:
        return f"too large to be put back: {size} bytes with the headers that say so, at most {MAX_RECORD_BYTES} fit"
    return None


def put_back(letter: Record, partitions: int) -> NewRecord:
    """Rebuild the original record, on its original partition if that still exists.

    `partitions` is the number of partitions of its topic. The headers are the original ones, the place of the dead
    letter and, if the dead letter has them, the number of failures and the time of the first.
    """
    headers = [
        (name, value)
        for name, value in letter.headers
        if not name.startswith(_PREFIX) and name not in (REPLAYED, _ATTEMPTS, _FIRST_FAILURE)
    ]
    headers.append((REPLAYED, f"{letter.partition}/{letter.offset}".encode()))
    for name, fact in ((_ATTEMPTS, "attempts"), (_FIRST_FAILURE, "first_failure_ts")):
        if (value := _fact(letter.headers, fact)) is not None:
            headers.append((name, value.encode()))
    number = _number(_fact(letter.headers, "partition"))
    return NewRecord(
        topic=letter.partition.topic.removesuffix(DEAD_LETTERS),
        key=letter.key,
        value=letter.value,
        headers=tuple(headers),
        partition=number if number is not None and number < partitions else None,
    )


def is_copy(record: Record) -> bool:
    """Return whether a record failed before and was put back, so that its topic holds it twice."""
    return header(record.headers, _ATTEMPTS) is not None and _failed_before(record) > 0


def _failed_before(record: Record) -> int:
    return _number(header(record.headers, _ATTEMPTS)) or 0


def _fact(headers: Headers, name: str) -> str | None:
    """Return a fact of a dead letter: the last such header, since the original may have had its own."""
    return header(headers[::-1], _PREFIX + name)


def _facts(letter: Record, *names: str) -> list[str]:
    """Return the facts that are present, in the order of `names`."""
    return [fact for name in names if (fact := _fact(letter.headers, name)) is not None]


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None
