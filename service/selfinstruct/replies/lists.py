"""Lists of tasks as chat models write them: where their items begin and end."""

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from service.selfinstruct.replies.chatter import is_closing, is_headed_thinking, is_opening
from service.selfinstruct.replies.list_items import SENTENCE_END, Listed, behind_bullet, is_ornament, read_item
from service.selfinstruct.replies.markup import (
    BULLET,
    FENCE,
    LABEL_LINE,
    LIST_NUMBER,
    behind_number,
    tidy,
)

_TABLE_ROW = re.compile(r"[ \t]*+\|[ \t*]*+(?P<number>\d{1,3}+)[.)*]*+[ \t]*+\|(?P<text>[^|]++)\|[ \t]*+")
_TABLE_RULE = re.compile(
    r"[ \t]*+\|?+(?:[ \t]*+:?+-{2,}+:?+[ \t]*+\|)+[ \t:-]*+|[ \t]*+\|[ \t]*+(?:#|no\.?|number)[ \t]*+\|[^|]*+\|",
    re.IGNORECASE,
)
_MOST_SKIPPED_NUMBERS = 2
_FEWEST_LINES_OF_A_LIST = 3


class _Mark(Struct, frozen=True):
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
        while paragraph and (is_opening(paragraph[0]) or _leads_up(paragraph) or is_ornament(paragraph[0])):
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
            read_item([behind_bullet(lines[start]), *lines[start + 1 : end]])
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
        whole = all(len(each) == 1 and SENTENCE_END.search(each[0]) and not is_opening(each[0]) for each in paragraphs)
        if cut or not whole:
            return [Listed("\n".join(lines).strip(), readable=False)]
        return [Listed(tidy(each[0])) for each in paragraphs]
    return [read_item(paragraphs[0])] if paragraphs else [Listed("\n".join(lines).strip())]


def _paragraphs(lines: Sequence[str]) -> Iterator[list[str]]:
    paragraph: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            paragraph.append(line)
        elif paragraph:
            yield paragraph
            paragraph = []
