"""Lines between one task of a reply and the next: numbers, titles, headings, separators. They belong to neither."""

import re
from collections.abc import Sequence

from service.selfinstruct.replies.markup import FENCE, RULE

_MOST_TITLE_WORDS = 9
_THING = r"(?:task|example|ex\.?|instance|sample|case|test case|prompt|entry|pair|input/output pair)"
_NUMBERED_HEADING = re.compile(
    rf"[\W_]*+(?:\d{{1,3}}+[.)]\s*+)?+{_THING}[\W_]*+(?:no\.?[ ])?+\d{{1,3}}+\b.*", re.IGNORECASE
)
_OTHER_HEADING = re.compile(
    rf"[\W_]*+(?:another|next|second|third|fourth|fifth|last|final|first)[ ]{_THING}\b.*|[\W_]*+examples?[\W_]*+",
    re.IGNORECASE,
)
_KIND = re.compile(
    r"[\W_]*+(?:\d{1,3}+[.)]\s*+)?+[*_]*+(?:type|kind|category|topic|subject|domain|difficulty|genre|theme|skill)[*_]*+"
    r"[ \t]*+[:\uff1a].*",
    re.IGNORECASE,
)
_HEADING = re.compile(r"[ \t]*+\\?#{1,6}(?:[ \t].*|\d.*|[ \t]*+)")
_BOLD_LINE = re.compile(r"[ \t]*+(?:\*\*[^*\n]++\*\*|__[^_\n]++__)[ \t]*+:?+[ \t]*+")
_NUMBER = re.compile(
    r"[ \t]*+[*_]*+(?:[#(\[]++(?P<marked>\d{1,3}+)[).:\]]*+|(?P<plain>\d{1,3}+)[*_]*+[.):]++)[*_]*+[ \t]*+"
    r"(?P<title>(?!\d).*)"
)
_SENTENCE_END = re.compile(r"[.?!][\"'*_)\]]*$")


def is_heading(line: str) -> bool:
    """Return whether a line is the heading of an example or a task, as in `### Case 2: A short one`."""
    is_short = len(line.split()) <= _MOST_TITLE_WORDS
    return is_short and any(heading.fullmatch(line) for heading in (_NUMBERED_HEADING, _OTHER_HEADING))


def without_border(lines: Sequence[str]) -> list[str]:
    """Return the lines of a text that another task follows, without the border to that task at their end.

    A number with a title is a border only where it does not go on with a list in the text.
    """
    kept = list(lines)
    while True:
        while kept and not kept[-1].strip():
            kept.pop()
        if not any(line.strip() for line in kept[:-1]) or not (_is_border(kept) or _is_half_a_fence(kept)):
            return kept
        kept.pop()


def _is_border(lines: Sequence[str]) -> bool:
    line, above = lines[-1], lines[:-1]
    if RULE.fullmatch(line) or _HEADING.fullmatch(line) or _KIND.fullmatch(line):
        return True
    if len(line.split()) > _MOST_TITLE_WORDS:
        return False
    if is_heading(line):
        return True
    return not above[-1].strip() and (_BOLD_LINE.fullmatch(line) is not None or _is_number_of_a_title(line, above))


def _is_number_of_a_title(line: str, above: Sequence[str]) -> bool:
    number = _NUMBER.fullmatch(line)
    if number is None or _SENTENCE_END.search(number["title"]):
        return False
    previous = re.compile(rf"[ \t]*+[*_]*+{int(number['marked'] or number['plain']) - 1}[.)]")
    return not any(previous.match(each) for each in above)


def _is_half_a_fence(lines: Sequence[str]) -> bool:
    """Return whether the last line is a fence without the other that belongs to it."""
    return FENCE.fullmatch(lines[-1]) is not None and sum(FENCE.fullmatch(line) is not None for line in lines) % 2 == 1
