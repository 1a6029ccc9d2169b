"""Commit metadata: the text that a worker leaves beside a committed offset for the next owner, short enough for Kafka.

`12,34;5-9@60,11` has two parts. The first says where each partition of the results ended when the record at the
committed offset was taken: answers to it, and to all later input of the partition, lie behind that. The second names
the offsets whose calls are in flight, and for how many seconds at most; an offset without seconds has those before it.

With hundreds of partitions of results the first part may not fit. Then it is `12~1~0m`: the lowest end, a unit, and for
each partition the units above the lowest end, in as many digits of base 36 as there is room for. Larger units round
ends down, and then the next owner reads a little more. Without digits, every partition counts from the lowest end.
Versions that do not know this form read the results from their beginning.
"""

import math
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

Ends = tuple[int, ...]

# Kafka's own limit is 4096 (`offset.metadata.max.bytes`).
MOST_BYTES = 4_000
# More than any worker has in flight on one partition: metadata of another program may say anything.
MOST_CALLS = 10_000
_MOST_SECONDS = 999_999

# Even where ends need more, this much is left to name calls in flight, which cost more than reading.
_ROOM_FOR_CALLS = 1_000
_BASE = 36
_MOST_DIGITS = 13  # of any offset, which has 63 bits
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

_ENDS = re.compile(r"[0-9]{1,19}(,[0-9]{1,19})*")
_SHORT_ENDS = re.compile(r"([0-9]{1,19})~([0-9]{1,19})~([0-9a-z]*)")
_CALLS = re.compile(r"([0-9]{1,19})(?:-([0-9]{1,19}))?(?:@([0-9]{1,6}))?")


@dataclass(frozen=True, slots=True)
class CommitMetadata:
    """The end offsets of the results, and the offsets in flight with the seconds that each may last."""

    ends: Ends
    calls: Mapping[int, int] = field(default_factory=dict)

    def with_calls(self, calls: Mapping[int, int]) -> "CommitMetadata":
        """Return this metadata with further calls."""
        return CommitMetadata(self.ends, {**self.calls, **calls})


def whole_seconds(time_s: float) -> int:
    """Return a time in whole seconds, rounded up: waiting too long costs less than a second call."""
    return math.ceil(min(max(time_s, 0.0), _MOST_SECONDS))


def dump(metadata: CommitMetadata) -> tuple[str, int]:
    """Return metadata as text, and how many of its calls, the last ones, did not fit."""
    ends = ",".join(map(str, metadata.ends))
    calls, left_out = _dump_calls(metadata.calls, MOST_BYTES - len(ends) - 1)
    if left_out or len(ends) > MOST_BYTES:
        wanted, _ = _dump_calls(metadata.calls, _ROOM_FOR_CALLS)
        ends = min(ends, _dump_shortly(metadata.ends, MOST_BYTES - len(wanted) - 1), key=len)
        calls, left_out = _dump_calls(metadata.calls, MOST_BYTES - len(ends) - 1)
    return (f"{ends};{calls}" if calls else ends), left_out


def _dump_shortly(ends: Ends, room: int) -> str:
    """Return the lowest end and the distances of all ends from it, as exact as there is room for."""
    lowest, spread = min(ends), max(ends) - min(ends)
    width = (room - len(f"{lowest}~{spread}~")) // len(ends)
    if width <= 0:
        return f"{lowest}~1~"
    unit = spread // _BASE**width + 1
    width = next(digits for digits in range(1, width + 1) if spread // unit < _BASE**digits)
    return f"{lowest}~{unit}~" + "".join(_in_base((end - lowest) // unit, width) for end in ends)


def _in_base(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, digit = divmod(number, _BASE)
        digits = _DIGITS[digit] + digits
    return digits


def _dump_calls(calls: Mapping[int, int], room: int) -> tuple[str, int]:
    """Return as many calls as fit, as text, and how many do not."""
    entries: list[str] = []
    listed, seconds_before = 0, -1
    for first, last, seconds in _runs(calls):
        entry = f"{first}-{last}" if last > first else str(first)
        entry += f"@{seconds}" if seconds != seconds_before else ""
        room -= len(entry) + bool(entries)
        if room < 0 or listed + last - first >= MOST_CALLS:
            break
        entries.append(entry)
        listed += last - first + 1
        seconds_before = seconds
    return ",".join(entries), len(calls) - listed


def load(text: str, partitions: int) -> CommitMetadata | None:
    """Return the metadata in a text, or none if it does not fit the number of partitions of the results."""
    ends, _, calls = text.partition(";")
    found, in_flight = _load_ends(ends, partitions), _load_calls(calls)
    return None if found is None or len(found) != partitions or in_flight is None else CommitMetadata(found, in_flight)


def _load_ends(text: str, partitions: int) -> Ends | None:
    if _ENDS.fullmatch(text) is not None:
        return tuple(map(int, text.split(",")))
    short = _SHORT_ENDS.fullmatch(text)
    if short is None:
        return None
    lowest, unit, digits = int(short[1]), int(short[2]), short[3]
    if not digits:
        return (lowest,) * partitions
    width = max(1, len(digits) // partitions)
    if width > _MOST_DIGITS:
        return None
    return tuple(lowest + unit * int(digits[at : at + width], _BASE) for at in range(0, len(digits), width))


def _runs(calls: Mapping[int, int]) -> list[tuple[int, int, int]]:
    """Return (first, last, seconds) of consecutive offsets with the same seconds."""
    runs: list[tuple[int, int, int]] = []
    for offset, seconds in sorted(calls.items()):
        if runs and runs[-1][1:] == (offset - 1, seconds):
            runs[-1] = (runs[-1][0], offset, seconds)
        else:
            runs.append((offset, offset, seconds))
    return runs


def _load_calls(text: str) -> dict[int, int] | None:
    calls: dict[int, int] = {}
    seconds: str | None = None
    for entry in text.split(",") if text else ():
        found = _CALLS.fullmatch(entry)
        if found is None:
            return None
        first, last = int(found[1]), int(found[2] or found[1])
        seconds = found[3] or seconds
        if seconds is None or len(calls) + last - first >= MOST_CALLS:
            return None
        calls |= dict.fromkeys(range(first, last + 1), int(seconds))
    return calls


class Marks:
    """Maps each watermark of one partition to end offsets of the results.

    Below `until`, earlier owners may have answered records, so the end offsets that they committed stay in force.
    """

    def __init__(self, inherited: Ends, until: int) -> None:
        self._inherited = inherited
        self._until = until
        self._marks: deque[tuple[int, Ends]] = deque()

    def delivered(self, offset: int, ends: Ends) -> None:
        """Note the end offsets of the results at the time when an input was taken."""
        self._marks.append((offset, ends))

    def at(self, watermark: int, ends: Ends) -> Ends:
        """Return the end offsets for a watermark; `ends` are the present ones, used if nothing is unfinished."""
        while self._marks and self._marks[0][0] < watermark:
            self._marks.popleft()
        if watermark < self._until:
            return self._inherited
        return self._marks[0][1] if self._marks else ends
