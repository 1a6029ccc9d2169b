"""Inputs and outputs in the text replies of chat models, under headings and labels of many kinds, or without any."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from service.selfinstruct.replies.borders import is_heading, without_border
from service.selfinstruct.replies.chatter import is_afterword, is_opening, only_announces
from service.selfinstruct.replies.labels import Label, Labels, with_fences_apart, without_wrapping_fences
from service.selfinstruct.replies.markup import BULLET, RULE, tidy_label, tidy_value, without_outer_fence
from service.selfinstruct.replies.remarks import without_last_remark
from service.selfinstruct.replies.stand_ins import says_no_input, stands_for_no_input

# A single `#` begins a comment: programs end in `# Output: 3`.
_LABELS = Labels("input|output", least_sharps=2)
_CLASS_LABELS = Labels("class[ _]label", least_sharps=2)
_SHORT_CLASS_LABELS = Labels("label|class", least_sharps=2)
_LABEL_BEHIND_HEADING = re.compile(
    r"(?P<heading>[#*_> \t]*+example[ \t]*+#?+\d{1,3}+[ \t]*+[.:)]?+[*_]*+[ \t]*+[.:)]?+)[ \t]*+"
    r"(?P<text>[*_]*+(?:input|output|class label)\b.*)",
    re.IGNORECASE,
)
_ANY_FIELD = re.compile(r"[#*_> \t-]*+[A-Z][\w ]{0,24}[*_]*+[:\uff1a][*_ \t]*+\S")
_BOLD_FIELD = re.compile(r"(?P<indent>[ \t]*+)(?P<mark>\*\*|__)(?P<name>[^*_:\n]{1,30}):?+(?P=mark):?+")
_TAG = re.compile(r"\s*+<(?:example|instance|input|output)\b", re.IGNORECASE)
_EXPLANATION = re.compile(
    r"[*_(\[ \t]*+(?:explanation|note|reason|reasoning|rationale|justification)[*_]*+[:\uff1a]", re.IGNORECASE
)

Pair = tuple[str, str]


@dataclass(slots=True)
class _Example:
    """The lines of one example by label; the `unlabelled` lines stand before any label."""

    unlabelled: list[str] = field(default_factory=list)
    labelled: dict[str, list[str]] = field(default_factory=dict)

    def pair(self, *, is_last: bool) -> Pair | None:
        """Return (input, output), or None without an output; unlabelled text before the output may be the input."""
        output, given = self.labelled.get("output"), self.labelled.get("input")
        if output is None:
            return None
        bare = "\n".join(_without_talk(self.unlabelled))
        lines = without_border(output, ends=is_last)
        return _input("\n".join(given) if given is not None else bare), tidy_value("\n".join(lines))


def read_pairs(text: str) -> list[Pair]:
    """Return the (input, output) pairs of a reply; a reply without labels is the output of a task without input."""
    lines = _lines(text, _LABELS)
    labels = _found(_LABELS, lines)
    if not labels:
        output = _without_announcement(lines)
        # Examples in another form than the prompt asks for are no output.
        is_answer = bool(output) and not is_heading(output[0]) and _TAG.match(output[0]) is None
        return [("", tidy_value("\n".join(output)))] if is_answer else []
    headings = _headings(lines, labels)
    examples = [_Example()]
    part = examples[0].unlabelled
    for place, line in enumerate(lines):
        if place in headings:
            examples.append(_Example())
            part = examples[-1].unlabelled
        elif (label := labels.get(place)) is not None:
            part = _place_for(label.name, examples)
            part.append(label.text)
        else:
            part.append(line)
    pairs = (example.pair(is_last=example is examples[-1]) for example in examples)
    return [pair for pair in pairs if pair is not None]


def read_labelled_pairs(text: str) -> list[Pair]:
    """Return the (input, class label) pairs of a reply for a classification task.

    The label comes before its input, unless an input stands before the first label. Without class labels, the outputs
    of `read_pairs` are the labels if each has an input; otherwise there are no pairs.
    """
    lines = _lines(text, _CLASS_LABELS)
    labels = _CLASS_LABELS.places(lines) or _SHORT_CLASS_LABELS.places(lines)
    if not labels:
        pairs = read_pairs(text) if _found(_LABELS, lines) else []
        return pairs if all(given for given, _ in pairs) else []
    places = [*labels, len(lines)]
    before = _parts_of_input(lines[: places[0]])
    if any(_ANY_FIELD.match(line) for line in before):
        return _labelled_behind(lines, labels)
    return [
        _labelled(labels[start], lines[start + 1 : end], in_bullets=BULLET.match(lines[start]) is not None)
        for start, end in pairwise(places)
    ]


def _labelled_behind(lines: Sequence[str], labels: Mapping[int, Label]) -> list[Pair]:
    """Return the pairs of a reply in which each input precedes its label; none if an input follows the last label."""
    starts = [0, *(place + 1 for place in labels)]
    pairs = [
        (_labelled_input(lines[start:place]), tidy_label(label.text))
        for start, (place, label) in zip(starts, labels.items(), strict=False)
    ]
    return [] if _labelled_input(lines[starts[-1] :]) else pairs


def _labelled(label: Label, lines: Sequence[str], *, in_bullets: bool) -> Pair:
    """Return the pair that begins with a label; the text of the label may stand on the next line."""
    text = label.text
    if not text:
        first = next((place for place, line in enumerate(lines) if line.strip()), 0)
        text, lines = "".join(lines[first : first + 1]), lines[first + 1 :]
    if in_bullets:
        lines = [bullet["rest"] if (bullet := BULLET.match(line)) is not None else line for line in lines]
    return _labelled_input(lines), tidy_label(text)


def _lines(text: str, labels: Labels) -> list[str]:
    """Return the lines of a reply without the remark after it and the code fences around it or its examples."""
    lines = with_fences_apart([line.rstrip() for line in text.split("\n")], _LABELS)
    lines = without_last_remark(lines, is_afterword, _is_labelled)
    lines = without_outer_fence(without_wrapping_fences(lines, labels), _is_labelled)
    return [part for line in lines for part in _parts(line)]


def _parts(line: str) -> Iterator[str]:
    """Yield a line, or separately the heading of an example and the label after it on the same line."""
    both = _LABEL_BEHIND_HEADING.fullmatch(line)
    yield from (line,) if both is None else (both["heading"], both["text"])


def _is_labelled(line: str) -> bool:
    return any(labels.match(line) is not None for labels in (_LABELS, _CLASS_LABELS))


def _found(labels: Labels, lines: Sequence[str]) -> dict[int, Label]:
    """Return the labels by the index of their line; lower-case labels count only if the reply begins with one."""
    found = labels.places(lines)
    first = next((place for place, line in enumerate(lines) if line.strip()), None)
    if first in found and not found[first].capital:
        return found
    return {place: label for place, label in found.items() if label.capital}


def _headings(lines: Sequence[str], labels: Mapping[int, Label]) -> set[int]:
    """Return the indices of the headings of examples: a label follows each heading before the next one."""
    headings = set()
    follows = False
    for place in range(len(lines) - 1, -1, -1):
        if place in labels:
            follows = True
        elif follows and is_heading(lines[place]):
            headings.add(place)
            follows = False
    return headings


def _place_for(name: str, examples: list[_Example]) -> list[str]:
    """Return the list that takes the lines after a label; a second output for one input is discarded."""
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


def _labelled_input(lines: Sequence[str]) -> str:
    """Return an input; a label of its own kind, as in `Review: …`, is kept, and the label `Input:` is removed."""
    kept = _parts_of_input(lines)
    if kept and (label := _LABELS.match(kept[0])) is not None and label.name == "input":
        kept[0] = label.text
    return _input("\n".join(_BOLD_FIELD.sub(r"\g<indent>\g<name>:", line, count=1) for line in kept))


def _parts_of_input(lines: Sequence[str]) -> list[str]:
    """Return the lines of an input without openings, headings and explanations."""
    kept: list[str] = []
    for line in without_border(lines):
        is_blank = not line.strip()
        if not kept and (is_blank or is_heading(line) or is_opening(line) or RULE.fullmatch(line)):
            continue
        if _EXPLANATION.match(line) or is_heading(line) or RULE.fullmatch(line):
            break
        kept.append(line)
    return kept


def _without_talk(lines: Sequence[str]) -> list[str]:
    """Return the lines before an output that may be its input; none if they only announce it or state a lack of input.

    Openings and blank lines around them are left out.
    """
    kept = list(lines)
    while kept and (not kept[0].strip() or is_opening(kept[0])):
        kept.pop(0)
    while kept and not kept[-1].strip():
        kept.pop()
    is_talk = kept and (kept[-1].endswith(":") or (len(kept) == 1 and says_no_input(kept[0])))
    return [] if is_talk else kept


def _without_announcement(lines: Sequence[str]) -> list[str]:
    kept = list(lines)
    while kept and (not kept[0].strip() or only_announces(kept[0]) or _explains_input(kept)):
        kept.pop(0)
    return kept


def _explains_input(lines: Sequence[str]) -> bool:
    """Return whether the first line states that there is no input, and a blank line follows."""
    return says_no_input(lines[0]) and len(lines) > 1 and not lines[1].strip()
