"""Lists of tasks as chat models write them, and the single task in one item of a list."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from service.selfinstruct.replies.chatter import is_closing, is_headed_thinking, is_opening
from service.selfinstruct.replies.directives import is_directive
from service.selfinstruct.replies.markup import (
    BULLET,
    FENCE,
    FIELD_LABEL,
    HEADING,
    LABEL_LINE,
    LIST_NUMBER,
    RULE,
    behind_number,
    tidy,
)

_SENTENCE_END = re.compile(r"[.?!\u2026\u3002][\"'\u201d\u2019)\]*_`]*$")
_BOLD_LINE = re.compile(r"\s*(?:\*\*|__)[^*_]*(?:\*\*|__)\W*")
_INDENTED = re.compile(r"[ \t]{2,}\S")
_TABLE_ROW = re.compile(r"[ \t]*+\|[ \t*]*+(?P<number>\d{1,3}+)[.)*]*+[ \t]*+\|(?P<text>[^|]++)\|[ \t]*+")
_TABLE_RULE = re.compile(
    r"[ \t]*+\|?+(?:[ \t]*+:?+-{2,}+:?+[ \t]*+\|)+[ \t:-]*+|[ \t]*+\|[ \t]*+(?:#|no\.?|number)[ \t]*+\|[^|]*+\|",
    re.IGNORECASE,
)
_MOST_SKIPPED_NUMBERS = 2
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
_FEWEST_LINES_OF_A_LIST = 3


@dataclass(frozen=True, slots=True)
class Listed:
    """One item of a list; if it is not `readable`, its text is not a single task."""

    text: str
    readable: bool = True


@dataclass(frozen=True, slots=True)
class _Mark:
    """A line that begins with a number, and the text after the number; `headed` if the line is a heading."""

    place: int
    indent: int
    number: int
    rest: str
    headed: bool = False


def read_alone(text: str) -> Listed:
    """Return the single task in a text that may begin with a number, as items of lists do."""
    lines = [line.rstrip() for line in text.strip().split("\n")]
    mark = next(_marks(lines[:1]), None)
    if mark is None:
        return read_item(lines)
    return read_item([mark.rest, *lines[1:]] if mark.rest else lines[1:] or [""], headed=mark.headed)


def read_list(text: str, first: int | None = None, *, cut: bool = False, marked: bool = False) -> list[Listed]:
    """Return the tasks of a reply in order.

    The prompt may have ended with the number `first`, for the model to continue from. The text before the list is then
    that item if the list continues with the next number, and an opening otherwise. Without numbers, bullets are items,
    else single lines. In a reply that was `cut`, several such lines are not readable, since they may be thoughts. If a
    list must be `marked` by numbers or bullets, such lines are never readable.
    """
    if is_headed_thinking(text):
        return [Listed(text.strip(), readable=False)]
    lines = [line.rstrip() for line in text.split("\n") if not FENCE.fullmatch(line)]
    lines = [_behind_table_number(line) for line in lines if not _TABLE_RULE.fullmatch(line)]
    if first is not None and sum(bool(line.strip()) for line in lines) == 1:
        lines = _parted_at_numbers(text.strip("\n"), first)
    marks = _chain(list(_marks(lines)), first)
    if not marks:
        following = first + 1 if first is not None else 2
        return [_alone(item, following) for item in _unnumbered(lines, cut=cut, marked=marked)]
    tasks = []
    if marks[0].number not in {1, first} and (begun := _without_openings(lines[: marks[0].place])):
        tasks.append(_one_of(begun, following=marks[0].number))
    ends = [*(mark.place for mark in marks[1:]), len(lines)]
    for mark, end in zip(marks, ends, strict=True):
        item = [mark.rest, *lines[mark.place + 1 : end]]
        tasks.append(_one_of(item, following=mark.number + 1, headed=mark.headed))
    return tasks


def _behind_table_number(line: str) -> str:
    """Return a line; a table row of a number and a text becomes an item of a list."""
    row = _TABLE_ROW.fullmatch(line)
    return line if row is None else f"{row['number']}. {row['text'].strip()}"


def _parted_at_numbers(line: str, first: int) -> list[str]:
    """Return the items of a list that was written on one line: each number but the first follows a whole sentence.

    The numbers count up from that of the line, or from `first` if it has none.
    """
    mark = LIST_NUMBER.match(line)
    number = (first if mark is None else int(mark["number"])) + 1
    items, start = [], 0
    while (found := _before_number(number).search(line, start)) is not None:
        items.append(line[start : found.start()])
        start, number = found.end(), number + 1
    return [*items, line[start:]]


def _before_number(number: int) -> re.Pattern[str]:
    return re.compile(rf"(?<=[.?!\"')\]\u201d])[ ]++(?={number}[.)][ ]++[A-Z\"'\u201c])")


def _one_of(lines: Sequence[str], *, following: int, headed: bool = False) -> Listed:
    return _alone(read_item(lines, headed=headed), following)


def _alone(item: Listed, following: int) -> Listed:
    """Return an item; one that still holds the number `following` is several items, and so not readable."""
    holds_next = re.search(rf"[\s(.;?!]{following}[.)][ ]++[A-Za-z]", item.text) is not None
    return Listed(item.text, item.readable and not holds_next)


def read_item(lines: Sequence[str], *, headed: bool = False) -> Listed:
    """Return the task in the lines of one item, without the text below it (bullets, inputs, remarks).

    A title on a line of its own is left out, and a sentence that was wrapped is joined. If the next line may or may not
    continue the sentence, the item is not readable. `headed` says that the first line is a heading.
    """
    place = 0
    if (below := _below_title(lines, headed=headed)) is not None:
        place = below
    parts = [_TAG.sub("", tidy(_behind_bullet(lines[place]) if place else lines[place]))]
    readable = True
    for above, line in pairwise(lines[place:]):
        if not _continues(parts[-1], line):
            readable = not _may_continue(parts[-1], line, broken_at=len(above))
            break
        parts.append(tidy(line))
    return Listed(" ".join(parts), readable)


def _marks(lines: Sequence[str]) -> Iterator[_Mark]:
    for place, line in enumerate(lines):
        if (found := LIST_NUMBER.match(line)) is not None:
            headed = found["heading"] is not None
            yield _Mark(place, len(found["indent"]), int(found["number"]), behind_number(found), headed)
        elif (label := LABEL_LINE.fullmatch(line)) is not None:
            yield _Mark(place, 0, int(label["number"]), "")


def _chain(marks: list[_Mark], first: int | None) -> list[_Mark]:
    """Return the marks of the list itself; other marks number something inside its items, or before the list."""
    if len({mark.number for mark in marks}) <= 1:
        return marks
    wanted = () if first is None else (first, first + 1)
    starts = [mark for number in wanted for mark in marks if mark.number == number] or marks
    chain = [_start_of_last_run(starts[0], marks)]
    for mark in marks:
        last = chain[-1]
        follows = last.number < mark.number <= last.number + 1 + _MOST_SKIPPED_NUMBERS
        if mark.place > last.place and follows and abs(mark.indent - chain[0].indent) <= 1:
            chain.append(mark)
    return chain


def _start_of_last_run(start: _Mark, marks: Sequence[_Mark]) -> _Mark:
    """Return the first mark of the list; if the list restarts after its second item, the first run was a draft."""
    has_second = False
    for mark in marks:
        if mark.place <= start.place or mark.indent != start.indent:
            continue
        if mark.number == start.number and has_second:
            start, has_second = mark, False
        has_second = has_second or mark.number == start.number + 1
    return start


def _without_openings(lines: Sequence[str]) -> list[str]:
    """Return the first paragraph that does more than introduce the list."""
    for paragraph in _paragraphs(lines):
        while paragraph and (is_opening(paragraph[0]) or _leads_up(paragraph) or _is_ornament(paragraph[0])):
            paragraph = paragraph[1:]  # noqa: PLW2901 - the paragraph gets shorter
        if paragraph:
            return paragraph
    return []


def _leads_up(paragraph: Sequence[str]) -> bool:
    """Return whether the first line of a paragraph ends in a colon, and not because its sentence was wrapped."""
    return paragraph[0].endswith(":") and not (len(paragraph) > 1 and paragraph[1].strip()[:1].islower())


def _unnumbered(lines: Sequence[str], *, cut: bool, marked: bool) -> list[Listed]:
    """Return the bullets of a reply without numbers, else its paragraphs if each is one sentence, else one item."""
    bullets = [place for place, line in enumerate(lines) if (found := BULLET.match(line)) and len(found["indent"]) <= 1]
    if len(bullets) > 1:
        ends = [*bullets[1:], len(lines)]
        return [
            read_item([_behind_bullet(lines[start]), *lines[start + 1 : end]])
            for start, end in zip(bullets, ends, strict=True)
        ]
    if marked:
        return [Listed("\n".join(lines).strip(), readable=False)]
    paragraphs = [each for each in _paragraphs(lines) if not (is_opening(each[0]) and len(each) == 1)]
    while len(paragraphs) > 1 and is_closing(paragraphs[-1][0]):
        paragraphs.pop()
    if len(paragraphs) == 1 and len(paragraphs[0]) >= _FEWEST_LINES_OF_A_LIST:
        paragraphs = [[line] for line in paragraphs[0]]
    if len(paragraphs) > 1:
        whole = all(len(each) == 1 and _SENTENCE_END.search(each[0]) and not is_opening(each[0]) for each in paragraphs)
        if cut or not whole:
            return [Listed("\n".join(lines).strip(), readable=False)]
        return [Listed(tidy(each[0])) for each in paragraphs]
    return [read_item(paragraphs[0])] if paragraphs else [Listed("\n".join(lines).strip())]


def _behind_bullet(line: str) -> str:
    found = BULLET.match(line)
    return line if found is None else found["rest"]


def _paragraphs(lines: Sequence[str]) -> Iterator[list[str]]:
    paragraph: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            paragraph.append(line)
        elif paragraph:
            yield paragraph
            paragraph = []


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
    if _SENTENCE_END.search(title) is not None or len(title.split()) > _LONGEST_TITLE_WORDS:
        return None
    begins = not lines[below].strip()[0].islower()
    is_above = (_INDENTED.match(lines[below]) and not asks) or _is_in_title_case(title)
    return below if marked or (begins and is_above) else None


def _may_be_task(lines: Sequence[str], place: int, *, in_bullet: bool) -> bool:
    """Return whether a line is long enough for a task; `in_bullet` also accepts a bullet, if it is the only one."""
    line = lines[place]
    if BULLET.match(line) is not None:
        alone = sum(BULLET.match(each) is not None for each in lines) == 1
        line = _behind_bullet(line) if in_bullet and alone else ""
    return not _ends_item(line) and len(line.split()) >= _SHORTEST_TASK_WORDS


def _is_in_title_case(title: str) -> bool:
    long_words = [word for word in title.split() if len(word) >= _SHORTEST_LONG_WORD]
    return len(long_words) > 1 and all(not word[0].islower() for word in long_words)


def _continues(above: str, line: str) -> bool:
    """Return whether a line continues the unfinished sentence of the line above."""
    if not line.strip() or _SENTENCE_END.search(above) is not None or _ends_item(line):
        return False
    if above.endswith(":"):  # the next line may be the material of the task
        return line.strip()[0].islower() and _SENTENCE_END.search(line) is not None
    return line.strip()[0].islower() or _ENDS_WITHIN.search(above) is not None


def _may_continue(above: str, line: str, *, broken_at: int) -> bool:
    """Return whether it is undecidable if a line continues the sentence above it."""
    if broken_at < _SHORTEST_BROKEN_LINE or not line.strip() or _SENTENCE_END.search(above) is not None:
        return False
    is_other = _ends_item(line) or _ANY_LABEL.match(line) is not None or is_closing(line) or line.endswith(":")
    return not is_other and line.strip()[0].isalnum() and len(line.split()) >= _SHORTEST_TASK_WORDS


def _ends_item(line: str) -> bool:
    return BULLET.match(line) is not None or FIELD_LABEL.match(line) is not None or _is_ornament(line)


def _is_ornament(line: str) -> bool:
    return RULE.fullmatch(line) is not None or HEADING.fullmatch(line) is not None
