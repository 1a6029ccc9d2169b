"""Labels of fields such as `Instruction:`, with the markup that chat models put around them."""

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from service.selfinstruct.replies.markup import FENCE, fence_pairs

_MARK = r"\*\*|__|\*"
_TEXT_MARK = re.compile(rf"(?:{_MARK})[ \t]*+")


class Label(Struct, frozen=True):
    """A label at the beginning of a line: its name in lower case, its number if it has one, and the text after it.

    `capital` says that it begins with a capital letter; `input:` may be a field of some format.
    """

    name: str
    number: str | None
    text: str
    capital: bool


class Labels:
    """Matcher for labels of some names (`alternatives` of a pattern, in lower case).

    `least_sharps` is the minimum number of `#` in a heading: a single one begins a comment in many programs.
    """

    def __init__(self, alternatives: str, least_sharps: int = 1) -> None:
        self._pattern = re.compile(
            rf"[ \t]{{0,8}}+(?:(?:#{{{least_sharps},6}}|>{{1,6}}|[-*+\u2022](?=[ \t]))[ \t]*+)?+"
            rf"(?P<open>{_MARK})?+"
            rf"(?:(?:task[ \t]*+)?+\(?+(?P<number>\d{{1,3}}+)[ \t]?+[.):]?+\)?+(?P<closed>\*\*|__)?+[ \t]*+)?+"
            rf"(?P<again>{_MARK})?+[ \t]*+(?P<name>{alternatives})[ \t]*+\d{{0,3}}+[ \t]*+"
            rf"(?P<before>{_MARK})?+[ \t]*+[:\uff1a][ \t]*+(?P<text>.*)",
            re.IGNORECASE,
        )

    def match(self, line: str) -> Label | None:
        """Return the label that a line begins with, or None."""
        found = self._pattern.match(line)
        if found is None:
            return None
        text = found["text"]
        is_open = found["again"] is not None or (found["open"] is not None and found["closed"] is None)
        if is_open and found["before"] is None and (mark := _TEXT_MARK.match(text)) is not None:
            text = text[mark.end() :]
        return Label(found["name"].lower(), found["number"], text, capital=found["name"][0].isupper())

    def places(self, lines: Sequence[str]) -> dict[int, Label]:
        """Return the labels by the index of their line; labels between code fences are part of the code."""
        return {place: label for place in _outside_code(lines) if (label := self.match(lines[place])) is not None}


def with_fences_apart(lines: Sequence[str], labels: Labels) -> list[str]:
    """Return lines in which a code fence that follows a label is moved to a line of its own."""
    parted: list[str] = []
    for line in lines:
        label = labels.match(line) if line.count("```") == 1 else None
        if label is not None and FENCE.fullmatch(label.text):
            parted += [line[: -len(label.text)], label.text]
        else:
            parted.append(line)
    return parted


def without_wrapping_fences(lines: Sequence[str], labels: Labels) -> list[str]:
    """Return lines without the fences whose content begins with a label: they hold a part of the answer, not code."""
    gone: set[int] = set()
    for start, end in fence_pairs(lines).items():
        first = next((line for line in lines[start + 1 : end] if line.strip()), "")
        if labels.match(first) is not None:
            gone |= {start, end}
    return [line for place, line in enumerate(lines) if place not in gone]


def _outside_code(lines: Sequence[str]) -> Iterator[int]:
    """Yield the indices of the lines that are not between two code fences."""
    pairs = fence_pairs(lines)
    place = 0
    while place < len(lines):
        place = pairs.get(place, place)
        yield place
        place += 1
