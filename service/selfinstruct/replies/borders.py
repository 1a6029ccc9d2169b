"""Lines between one task of a reply and the next, which belong to neither: numbers, titles, headings, separators."""

import re
from collections.abc import Sequence

from service.selfinstruct.replies.markup import FENCE, RULE

_MOST_LINES = 8  # of one border
_MOST_TITLE_WORDS = 9
_THING = r"(?:task|example|ex\.?|instance|sample|case|test case|prompt|entry|pair|input/output pair)"
_NUMBERED_HEADING = re.compile(
    rf"[\W_]*+(?:\d{{1,3}}+[.)]\s*+)?+{_THING}[\W_]*+(?:no\.?[ ])?+\d{{1,3}}+\b.*", re.IGNORECASE
)
_OTHER_HEADING = re.compile(
    rf"[\W_]*+(?:another|next|second|third|fourth|fifth|last|final|first)[ ]{_THING}\b.*|[\W_]*+examples?[\W_]*+",
    re.IGNORECASE,
)
_WORD_OF_KIND = (
    r"[*_]*+(?:type|kind|category|topic|subject|domain|difficulty|genre|theme|skill)[*_]*+[ \t]*+[:\uff1a].*"
)
_KIND = re.compile(rf"[\W_]*+(?:\d{{1,3}}+[.)]\s*+)?+{_WORD_OF_KIND}", re.IGNORECASE)
_NUMBERED_KIND = re.compile(rf"[*_# \t]*+\d{{1,3}}+[.)][*_ \t]*+{_WORD_OF_KIND}", re.IGNORECASE)
_HEADING = re.compile(r"[ \t]*+\\?#{1,6}(?:[ \t].*|\d.*|[ \t]*+)|[ \t]*+-{2,}+[ \t]*+\d{1,3}+[ \t]*+-{2,}+")
_BOLD_LINE = re.compile(r"[ \t]*+(?:\*\*[^*\n]++\*\*|__[^_\n]++__)[ \t]*+:?+[ \t]*+")
_NUMBER = re.compile(
    r"[ \t]*+[*_]*+(?:[#(\[]++(?P<marked>\d{1,3}+)[).:\]]*+|(?P<plain>\d{1,3}+)[*_]*+[.):]++)[*_]*+[ \t]*+"
    r"(?P<title>(?!\d).*)"
)
_FIRST_NUMBER = re.compile(r"(?P<before>[^\d\n]{0,20}+)(?P<number>\d{1,3}+)")
_SENTENCE_END = re.compile(r"[.?!][\"'*_)\]]*$")


def is_heading(line: str) -> bool:
    """Return whether a line is the heading of an example or a task, as in `### Case 2: A short one`."""
    is_short = len(line.split()) <= _MOST_TITLE_WORDS
    return is_short and any(heading.fullmatch(line) for heading in (_NUMBERED_HEADING, _OTHER_HEADING))


def without_border(lines: Sequence[str], *, ends: bool = False) -> list[str]:
    """Return the lines of a text without the border to the next task at their end.

    A number is a border only if it does not continue a list in the text. If the reply `ends` after the text, only the
    numbered kind of a task, as in `4. Category: …`, is a border.
    """
    kept = list(lines)
    for _ in range(_MOST_LINES):
        while kept and not kept[-1].strip():
            kept.pop()
        if not any(line.strip() for line in kept[:-1]) or not _is_border(kept, ends=ends):
            break
        kept.pop()
    return kept


def _is_border(lines: Sequence[str], *, ends: bool) -> bool:
    line, above = lines[-1], lines[:-1]
    if ends:
        return _NUMBERED_KIND.fullmatch(line) is not None
    if _KIND.fullmatch(line) or RULE.fullmatch(line) or _HEADING.fullmatch(line) or _is_half_a_fence(lines):
        return True
    if len(line.split()) > _MOST_TITLE_WORDS or _goes_on(line, above):
        return False
    return is_heading(line) or (not above[-1].strip() and _is_title(line))


def _is_title(line: str) -> bool:
    number = _NUMBER.fullmatch(line)
    is_numbered = number is not None and _SENTENCE_END.search(number["title"]) is None
    return is_numbered or _BOLD_LINE.fullmatch(line) is not None


def _goes_on(line: str, above: Sequence[str]) -> bool:
    """Return whether the number of a line follows the number of a line above in the same format."""
    found = _FIRST_NUMBER.match(line)
    if found is None:
        return False
    previous = re.compile(rf"{re.escape(found['before'])}{int(found['number']) - 1}\b")
    return any(previous.match(each) for each in above)


def _is_half_a_fence(lines: Sequence[str]) -> bool:
    """Return whether the last line is a code fence without its counterpart."""
    return FENCE.fullmatch(lines[-1]) is not None and sum(FENCE.match(line) is not None for line in lines) % 2 == 1
