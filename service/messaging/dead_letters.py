"""Where a record goes that a stage cannot use: to its topic's dead letters, byte-identical, with the reason in headers.

From there it may be put back once what was wrong is mended. What has been put back says so in its own headers, which
stay with it when it fails again.
"""

import re
from datetime import UTC, datetime
from importlib.metadata import version

from service.errors import SeedstreamError
from service.messaging.broker import DEAD_LETTERS, Headers, NewRecord, Record
from service.messaging.codec import header
from service.messaging.messages import Message
from service.messaging.topics import CANDIDATES, CLASSIFIED, INSTANCES, INSTRUCTIONS, PROMPTS, Topic

REPLAYED = "seedstream_replayed"
_ATTEMPTS = "seedstream_attempts"
_FIRST_FAILURE = "seedstream_first_failure_ts"
_PREFIX = "__seedstream.errors."
_LONGEST_MESSAGE = 1_000
_NUMBER = re.compile("[0-9]{1,15}")
_APP_VERSION = version("seedstream")


class DeadLetter(Message):
    """What lies among the dead letters. `id` is what the record was about, as far as its key tells; it may be foreign.

    `origin` is where the record was written first, `place` where the dead letter lies; with `put_back` it has been
    written to its topic again, where it is as good as any other.
    """

    id: str
    topic: str
    place: str
    origin: str | None
    stage: str | None
    reason: str
    attempts: int
    put_back: bool = False

    @classmethod
    def of(cls, record: Record, *, put_back: bool = False) -> "DeadLetter":
        """Return what a record among the dead letters says; it may have been put there by hand."""
        where = _facts(record, "topic", "partition", "offset")
        why = _facts(record, "exception.class.name", "exception.message")
        return cls(
            id=(record.key or b"").decode("utf-8", "replace"),
            topic=record.partition.topic.removesuffix(DEAD_LETTERS).rpartition(".")[2],
            place=f"{record.partition}/{record.offset}",
            origin="/".join(where) or None,
            stage=_fact(record.headers, "stage"),
            reason=": ".join(why) or "no reason given",
            attempts=_number(_fact(record.headers, "attempts")) or 0,
            put_back=put_back,
        )


STAGE_INPUTS: tuple[Topic[Message], ...] = (PROMPTS, CANDIDATES, INSTRUCTIONS, CLASSIFIED, INSTANCES)
DEAD_LETTER_TOPICS: tuple[Topic[DeadLetter], ...] = tuple(
    Topic(topic.name + DEAD_LETTERS, (DeadLetter,), topic.fanned_out) for topic in STAGE_INPUTS
)


def replay_group(run: str) -> str:
    """Return the group whose offsets say which dead letters of a run have been put back."""
    return f"seedstream.{run}.replay"


def dead_letter(record: Record, error: SeedstreamError, stage: str, group: str | None = None) -> NewRecord:
    """Return the dead letter of a record that `stage`, as a member of `group`, could not use."""
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
    return NewRecord(
        topic=topic + DEAD_LETTERS,
        key=record.key,
        value=record.value,
        headers=(
            *record.headers,
            *((_PREFIX + name, value.encode("utf-8", "replace")) for name, value in facts.items()),
        ),
    )


def put_back(letter: Record, partitions: int) -> NewRecord:
    """Return the record that a dead letter was, for its topic of so many partitions: where it came from, if it says so.

    Its headers are the original's and where it lay; and how often it has failed, since when, unless it never has.
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
    """Return whether a record is on its topic twice: it failed there, and has been put back as it was."""
    return _failed_before(record) > 0


def _failed_before(record: Record) -> int:
    return _number(header(record.headers, _ATTEMPTS)) or 0


def _fact(headers: Headers, name: str) -> str | None:
    """Return what the dead letter says: the last such header, since the original may have had its own."""
    return header(headers[::-1], _PREFIX + name)


def _facts(letter: Record, *names: str) -> list[str]:
    """Return those facts that the dead letter says."""
    return [fact for name in names if (fact := _fact(letter.headers, name)) is not None]


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None
