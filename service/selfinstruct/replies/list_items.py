"""The single task in the lines of one item of a list: without its title and the text below it, its sentence joined."""

import re
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

from service.selfinstruct.replies.chatter import is_closing
from service.selfinstruct.replies.directives import is_directive
from service.selfinstruct.replies.markup import BULLET, FIELD_LABEL, HEADING, RULE, tidy

SENTENCE_END = re.compile(r"[.?!\u2026\u3002][\"'\u201d\u2019)\]*_`]*$")
_BOLD_LINE = re.compile(r"\s*(?:\*\*|__)[^*_]*(?:\*\*|__)\W*")
_INDENTED = re.compile(r"[ \t]{2,}\S")
_LONGEST_TITLE_WORDS = 8
_SHORTEST_LONG_WORD = 4
_SHORTEST_TASK_WORDS = 4
# A line of at least this length without an end of sentence may be wrapped; a shorter one needs no full stop.
_SHORTEST_BROKEN_LINE = 50
_ENDS_WITHIN = re.compile(
    r"(?:,|\b(?:a|an|the|of|in|into|to|for|and|or|nor|but|with|without|from|by|on|at|that|which|who|whose|as|than|between"
    r"|about|over|under|is|are|was|were|its|their|your|his|her|my|our|this|these|each|every|using|if|when|how|why))$",
    re.IGNORECASE,
)
# A tag after a task: `(creative)`, `[easy]`, `#writing`.
_TAG = re.compile(r"(?<=[.?!])[ ]*+(?:[*_]?\([\w ]{1,20}\)[*_]?|\[[\w ]{1,20}\]|#\w{1,20}|<br ?/?>|\\)$")
_ANY_LABEL = re.compile(r"[ \t]*+[*_]*+[A-Za-z][\w ]{0,20}[*_]*+[:\uff1a]")


class Listed(Struct, frozen=True):
    """One item of a list; if it is not `readable`, its text is not a single task."""

    text: str
    readable: bool = True


def read_item(lines: Sequence[str], *, headed: bool = False) -> Listed:
    """Return the task in the lines of one item, without the text below it (bullets, inputs, remarks).

    A title on a line of its own is left out, and a sentence that was wrapped is joined. If the next line may or may not
    continue the sentence, the item is not readable. `headed` says that the first line is a heading.
    """
    place = 0
    if (below := _below_title(lines, headed=headed)) is not None:
        place = below
    parts = [_TAG.sub("", tidy(behind_bullet(lines[place]) if place else lines[place]))]
    readable = True
    for above, line in pairwise(lines[place:]):
        if not _continues(parts[-1], line):
            readable = not _may_continue(parts[-1], line, broken_at=len(above))
            break
        parts.append(tidy(line))
    return Listed(" ".join(parts), readable)


def behind_bullet(line: str) -> str:
    """Return the text of a line, after its bullet if it has one."""
    found = BULLET.match(line)
    return line if found is None else found["rest"]


def _below_title(lines: Sequence[str], *, headed: bool) -> int | None:
    """Return the index of the task below a title; None if the first line is the task."""
    below = next((place for place, line in enumerate(lines) if place and line.strip()), None)
    if below is None:
        return None
    title, is_bold = tidy(lines[0]), _BOLD_LINE.fullmatch(lines[0]) is not None
    asks = is_directive(title)
    marked = headed or is_bold or (lines[0].endswith(":") and not asks)
    if not _may_be_task(lines, below, in_bullet=marked):
        return None
    if not title:
        return below
    if SENTENCE_END.search(title) is not None or len(title.split()) > _LONGEST_TITLE_WORDS:
        return None
    begins = not lines[below].strip()[0].islower()
    is_above = (_INDENTED.match(lines[below]) and not asks) or _is_in_title_case(title)
    return below if marked or (begins and is_above) else None


def _may_be_task(lines: Sequence[str], place: int, *, in_bullet: bool) -> bool:
    """Return whether a line is long enough for a task; `in_bullet` also accepts a bullet, if it is the only one."""
    line = lines[place]
    if BULLET.match(line) is not None:
        alone = sum(BULLET.match(each) is not None for each in lines) == 1
        line = behind_bullet(line) if in_bullet and alone else ""
    return not _ends_item(line) and len(line.split()) >= _SHORTEST_TASK_WORDS


def _is_in_title_case(title: str) -> bool:
    long_words = [word for word in title.split() if len(word) >= _SHORTEST_LONG_WORD]
    return len(long_words) > 1 and all(not word[0].islower() for word in long_words)


def _continues(above: str, line: str) -> bool:
    """Return whether a line continues the unfinished sentence of the line above."""
    if not line.strip() or SENTENCE_END.search(above) is not None or _ends_item(line):
        return False
    if above.endswith(":"):  # the next line may be the material of the task
        return line.strip()[0].islower() and SENTENCE_END.search(line) is not None
    return line.strip()[0].islower() or _ENDS_WITHIN.search(above) is not None


def _may_continue(above: str, line: str, *, broken_at: int) -> bool:
    """Return whether it is undecidable if a line continues the sentence above it."""
    if broken_at < _SHORTEST_BROKEN_LINE or not line.strip() or SENTENCE_END.search(above) is not None:
        return False
    is_other = _ends_item(line) or _ANY_LABEL.match(line) is not None or is_closing(line) or line.endswith(":")
    return not is_other and line.strip()[0].isalnum() and len(line.split()) >= _SHORTEST_TASK_WORDS


def _ends_item(line: str) -> bool:
    return BULLET.match(line) is not None or FIELD_LABEL.match(line) is not None or is_ornament(line)


def is_ornament(line: str) -> bool:
    """Return whether a line is a rule or a heading."""
    return RULE.fullmatch(line) is not None or HEADING.fullmatch(line) is not None
