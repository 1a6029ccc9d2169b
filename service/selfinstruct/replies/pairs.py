"""Inputs and outputs as chat models write them in text: under headings and labels of many kinds, or without any."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from service.selfinstruct.replies.chatter import is_afterword, is_opening
from service.selfinstruct.replies.markup import (
    BULLET,
    stands_for_no_input,
    tidy_value,
    without_bold,
    without_last_remark,
    without_outer_fence,
)

_BEFORE_LABEL = r"[ \t]{0,3}+(?:[#>]{1,6}[ \t]*+|[-*+][ \t]++)?+(?:\d{1,3}+[.)][ \t]*+)?+(?:\*\*|__|\*)?+[ \t]*+"
_BEHIND_LABEL = r"[ \t]*+\d{0,3}+[ \t]*+(?:\*\*|__|\*)?+[ \t]*+[:\uff1a][ \t]*+(?:\*\*|__|\*)?+[ \t]*+(?P<text>.*)"
_LABEL = re.compile(rf"{_BEFORE_LABEL}(?P<name>input|output){_BEHIND_LABEL}", re.IGNORECASE)
_CLASS_LABEL = re.compile(rf"{_BEFORE_LABEL}(?P<name>class[ _]label){_BEHIND_LABEL}", re.IGNORECASE)
_INPUT_LABEL = re.compile(rf"{_BEFORE_LABEL}input{_BEHIND_LABEL}", re.IGNORECASE)
_EXAMPLE = re.compile(
    r"[#*_> \t]*+example[ \t]*+#?+\d{1,3}+[ \t]*+[.:)]?+[*_]*+[ \t]*+[.:)]?+[ \t]*+"
    r"(?P<text>(?:[*_]*+(?:input|output)\b.*)?+)",
    re.IGNORECASE,
)
_RULE = re.compile(r"[ \t]*+(?:-{3,}+|={3,}+|\*{3,}+|_{3,}+)[ \t]*+")

_WORDS_OF_AN_AGREEMENT = 2  # `Of course.`

Pair = tuple[str, str]


@dataclass(slots=True)
class _Example:
    """The lines of one example by what they belong to; the `unlabelled` stand before any label."""

    unlabelled: list[str] = field(default_factory=list)
    labelled: dict[str, list[str]] = field(default_factory=dict)

    def pair(self) -> Pair | None:
        """Return input and output; a text without a label is the input before an output, else the output itself."""
        bare = "\n".join(_without_openings(self.unlabelled))
        output, given = self.labelled.get("output"), self.labelled.get("input")
        if output is None:
            return ("", tidy_value(bare)) if given is None and bare else None
        return _input("\n".join(given) if given is not None else bare), tidy_value("\n".join(output))


def read_pairs(text: str) -> list[Pair]:
    """Return the pairs of (input, output) in a reply; one without any label is the output of a task without input."""
    examples = [_Example()]
    lines = examples[0].unlabelled
    for line in _lines(text):
        if (heading := _EXAMPLE.fullmatch(line)) is not None:
            examples.append(_Example())
            lines, line = examples[-1].unlabelled, heading["text"]  # noqa: PLW2901 - the rest of the line is left
        if (label := _LABEL.match(line)) is not None:
            lines = _place_for(label["name"].lower(), examples)
            line = label["text"]  # noqa: PLW2901 - the rest of the line is left
        lines.append(line)
    if len(examples) > 1 and not examples[0].labelled:
        del examples[0]  # what stands before the first heading
    return [pair for example in examples if (pair := example.pair()) is not None]


def read_labelled_pairs(text: str) -> list[Pair]:
    """Return the pairs of (input, class label) in a reply for a classification task; none without class labels."""
    lines = _lines(text)
    places = [place for place, line in enumerate(lines) if _CLASS_LABEL.match(line)]
    return [
        (_labelled_input(lines[start + 1 : end], BULLET.match(lines[start]) is not None), tidy_value(label["text"]))
        for start, end in pairwise([*places, len(lines)])
        if (label := _CLASS_LABEL.match(lines[start])) is not None
    ]


def _lines(text: str) -> list[str]:
    """Return the lines of a reply without the remark behind it and the code fence around it."""
    return without_outer_fence(without_last_remark(text.split("\n"), is_afterword, _is_labelled), _is_labelled)


def _is_labelled(line: str) -> bool:
    return _LABEL.match(line) is not None or _CLASS_LABEL.match(line) is not None


def _place_for(name: str, examples: list[_Example]) -> list[str]:
    """Return where the lines behind a label go; a second output for one input goes nowhere."""
    last = examples[-1]
    if name == "output" and "input" in last.labelled and "output" in last.labelled:
        return []
    if "output" in last.labelled or name in last.labelled:
        last = _Example()
        examples.append(last)
    return last.labelled.setdefault(name, [])


def _input(text: str) -> str:
    given = tidy_value(text)
    return "" if stands_for_no_input(given) else given


def _labelled_input(lines: Sequence[str], in_bullets: bool) -> str:  # noqa: FBT001 - private
    """Return an input, which may bring a label of its own kind, as in `Review: …`; the label `Input:` says nothing."""
    kept = list(_without_headings(lines))
    if in_bullets:
        kept = [bullet["rest"] if (bullet := BULLET.match(line)) is not None else line for line in kept]
    first = next((place for place, line in enumerate(kept) if line.strip()), None)
    if first is not None and (label := _INPUT_LABEL.match(kept[first])) is not None:
        kept[first] = label["text"]
    return _input("\n".join(without_bold(line) for line in kept))


def _without_headings(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if _EXAMPLE.fullmatch(line) or _RULE.fullmatch(line):
            return
        yield line


def _without_openings(lines: Sequence[str]) -> list[str]:
    kept = list(lines)
    while kept and (not kept[0].strip() or (is_opening(kept[0]) and _only_announces(kept[0]))):
        kept.pop(0)
    while kept and not kept[-1].strip():
        kept.pop()
    return [] if kept and kept[-1].rstrip().endswith(":") else kept  # a heading of what follows, and no input


def _only_announces(line: str) -> bool:
    """Return whether a line says nothing further: a letter may begin with `Sure, I will come`."""
    return line.rstrip().endswith((":", "!")) or len(line.split()) <= _WORDS_OF_AN_AGREEMENT
