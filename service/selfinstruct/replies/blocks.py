"""Whole tasks as chat models write them: blocks of an instruction, an input and an output, each with its label."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

from service.selfinstruct.replies.borders import without_border
from service.selfinstruct.replies.chatter import is_afterword, is_closing, is_opening
from service.selfinstruct.replies.labels import Label, Labels, with_fences_apart, without_wrapping_fences
from service.selfinstruct.replies.markup import tidy, tidy_value, without_outer_fence
from service.selfinstruct.replies.remarks import without_last_remark

_LABELS = Labels("instruction|input|output")
_SHARPS = re.compile(r"[ \t]*+(?:\*\*)?+#{2,}+(?:\*\*)?+[ \t]*+")
_RULE = re.compile(r"[ \t]*+(?:-{3,}+|={3,}+|\*{3,}+|_{3,}+)[ \t]*+")
# A label may be misspelt: after `###`, a number, a word and a colon still begin a block.
_NUMBERED_LABEL = re.compile(r"[*_> \t]*+\d{1,3}+[ \t]?+[.):][*_ \t]*+[^\W\d_]++[ \t]*+[*_]*+[ \t]*+[:\uff1a]")
_TITLE = re.compile(
    r"[#*_> \t]*+(?:task|example|item)[ \t]*+#?+\d{1,3}+[*_]*+[ \t]*+[.:]?+[*_]*+[ \t]*+", re.IGNORECASE
)


class Block(Struct, frozen=True):
    """One task of a reply: (instruction, input, output). `fields` is None if the block, whole in `text`, is broken."""

    text: str
    fields: tuple[str, str, str] | None


class _Field(Struct, frozen=True):
    """The text after one label; `lines` begin with the line of the label itself."""

    label: Label
    lines: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.label.name

    @property
    def number(self) -> str | None:
        return self.label.number

    @property
    def value(self) -> str:
        return "\n".join([self.label.text, *self.lines[1:]]).strip()


def read_blocks(text: str) -> list[Block]:
    """Return the blocks of a reply in order, broken ones included.

    The label of the first instruction may be missing, since the prompt ended with it. Numbers may start anywhere but
    must agree within a block. `###` separates blocks only if a label, or nothing, follows.
    """
    lines = with_fences_apart([line.rstrip() for line in text.split("\n")], _LABELS)
    lines = without_last_remark(lines, is_afterword, _is_labelled)
    lines = without_outer_fence(without_wrapping_fences(lines, _LABELS), _is_labelled)
    return [block for place, chunk in enumerate(_chunks(lines)) for block in _blocks(chunk, begun=place == 0)]


def _is_labelled(line: str) -> bool:
    return _LABELS.match(line) is not None


def _chunks(lines: Sequence[str]) -> Iterator[list[str]]:
    """Yield the lines between separators; the title of a block is a separator too."""
    chunk: list[str] = []
    for line, following in zip(lines, _following(lines), strict=True):
        if _separates(line, following):
            yield chunk
            chunk = []
        else:
            chunk.append(line)
    yield chunk


def _following(lines: Sequence[str]) -> list[str | None]:
    """Return, for each line, the next non-blank line; None if there is none."""
    following: list[str | None] = []
    last = None
    for line in reversed(lines):
        following.append(last)
        last = line if line.strip() else last
    return following[::-1]


def _separates(line: str, following: str | None) -> bool:
    is_sharps = _SHARPS.fullmatch(line) is not None
    if not (is_sharps or _RULE.fullmatch(line) or _TITLE.fullmatch(line)):
        return False
    if following is None:
        return is_sharps
    begins = _is_labelled(following) or _TITLE.fullmatch(following) or (is_sharps and _NUMBERED_LABEL.match(following))
    return bool(begins)


def _blocks(lines: Sequence[str], *, begun: bool) -> Iterator[Block]:
    """Yield the blocks between two separators; `begun` says that the prompt ended with the first label."""
    labels = _LABELS.places(lines)
    places = list(labels)
    before = _without_openings(lines[: places[0] if places else len(lines)])
    if not places:
        if before and not (len(before) == 1 and is_closing(before[0])):
            yield Block("\n".join(before).strip(), None)
        return
    found = [_Field(labels[start], tuple(lines[start:end])) for start, end in pairwise([*places, len(lines)])]
    if found[0].name != "instruction" and before:
        # Only the first instruction of the reply may lack its label.
        missing = Label("instruction" if begun else "unknown", None, before[0], capital=True)
        found.insert(0, _Field(missing, tuple(before)))
    groups = list(_groups(found))
    for place, group in enumerate(groups):
        yield _block(group, is_last=place == len(groups) - 1)


def _without_openings(lines: Sequence[str]) -> list[str]:
    kept = [line for line in lines if line.strip()]
    while kept and is_opening(kept[0]):
        kept.pop(0)
    return kept


def _groups(found: Sequence[_Field]) -> Iterator[list[_Field]]:
    """Yield the fields of each block; every instruction begins a new block.

    If instructions have numbers, one without may be a line of an output. It then belongs to the block above, which is
    broken by it.
    """
    are_numbered = any(each.name == "instruction" and each.number for each in found)
    group: list[_Field] = []
    for each in found:
        if each.name == "instruction" and group and (each.number or not are_numbered):
            yield group
            group = []
        group.append(each)
    yield group


def _block(group: Sequence[_Field], *, is_last: bool) -> Block:
    """Return the block of a group; it is broken unless an instruction and an output stand in order under one number."""
    text = "\n".join(line for each in group for line in each.lines).strip()
    fields = _numbered(group)
    names = [each.name for each in fields]
    numbers = {each.number for each in fields if each.number is not None}
    if names not in (["instruction", "input", "output"], ["instruction", "output"]) or len(numbers) > 1:
        return Block(text, None)
    given = fields[1].value if len(fields) == len(("instruction", "input", "output")) else ""
    output = "\n".join(without_border(fields[-1].value.split("\n"), ends=is_last))
    return Block(text, (tidy(fields[0].value), tidy_value(given), tidy_value(output)))


def _numbered(group: Sequence[_Field]) -> list[_Field]:
    """Return the fields of a block. If its labels have numbers, a label without one is text of the field above."""
    if not any(each.number for each in group[1:]) or any(each.name == "instruction" for each in group[1:]):
        return list(group)
    starts = [place for place, each in enumerate(group) if place == 0 or each.number is not None]
    return [_joined(group[start:end]) for start, end in pairwise([*starts, len(group)])]


def _joined(fields: Sequence[_Field]) -> _Field:
    """Return the first field with the lines of all fields."""
    return _Field(fields[0].label, tuple(line for each in fields for line in each.lines))
