"""The faults of a finished task: differences from the task that the model meant, and signs that any reader can see.

The checker shares no code with any parser.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tests.fakes.chat.model import ChatModel
from tests.fakes.chat.patterns import ANYWHERE, INPUT, INSTRUCTION, TEXT, Sign
from tests.fakes.chat.truth import Truth, comparable, comparable_pair, folded

FinishedTask = Mapping[str, Any]

_FENCE = re.compile(r"^\s*(`{3,}|~{3,})", re.MULTILINE)
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_MARKUP_ALONE = re.compile(r"[\s*_#`~|=<>{}\[\]\"\\-]+|`{3,}\w*")
_NO_INPUT = re.compile(r"\W*(?:none|n/a|no ?input(?: \w+){0,2}|empty|not applicable)\W*", re.IGNORECASE)
_STRAIGHT = str.maketrans({"\N{RIGHT SINGLE QUOTATION MARK}": "'"})
# Each of these marks occurs in pairs within one sentence, or not at all.
_PAIRS = (("(", ")"), ("\N{LEFT DOUBLE QUOTATION MARK}", "\N{RIGHT DOUBLE QUOTATION MARK}"))


def faults(task: FinishedTask, model: ChatModel) -> list[str]:
    """Return the faults of a task that was made of a model's replies. A correct task has none."""
    return [*untrue(task, model.truth), *visible_faults(task)]


def untrue(task: FinishedTask, truth: Truth) -> list[str]:
    """Return the differences of a task from the task that the model meant."""
    key = comparable(task["instruction"])
    found = [] if truth.has_instruction(task["instruction"]) else ["instruction: not meant"]
    for instance in task["instances"]:
        pair = comparable_pair(instance["input"], instance["output"])
        if pair not in truth.meant_pairs:
            found.append("instance: not meant")
        elif pair not in truth.pairs_of.get(key, ()):
            found.append("instance: of another task")
    if task.get("is_classification") not in (None, truth.verdicts.get(key, task.get("is_classification"))):
        found.append("is_classification: not meant")
    return found


def visible_faults(task: FinishedTask) -> list[str]:
    """Return the faults of a task that are visible without knowledge of its writer."""
    found = [f"instruction: {fault}" for fault in _of_instruction(task["instruction"])]
    if not task["instances"]:
        found.append("instances: none")
    for instance in task["instances"]:
        found += [f"input: {fault}" for fault in _of_input(instance["input"])]
        found += [f"output: {fault}" for fault in _of_output(instance["output"], instance["input"])]
    return found


def _of_instruction(text: str) -> Iterator[str]:
    if not folded(text):
        yield "empty"
    yield from _signs(text, (*ANYWHERE, *INSTRUCTION))
    if text.count('"') % 2 or any(text.count(opening) != text.count(closing) for opening, closing in _PAIRS):
        yield "half of a pair"


def _of_input(text: str) -> Iterator[str]:
    if text and _NO_INPUT.fullmatch(text):
        yield "stands for none"
    if text:
        yield from _of_text(text)
        yield from _signs(text, INPUT)


def _of_output(text: str, given: str) -> Iterator[str]:
    if not folded(text):
        yield "empty"
        return
    if folded(text) == folded(given):
        yield "same as the input"
    if _NO_INPUT.fullmatch(text):
        yield "stands for none"
    yield from _of_text(text)


def _of_text(text: str) -> Iterator[str]:
    if _MARKUP_ALONE.fullmatch(text.strip()):
        yield "piece of markup"
    if len(_FENCE.findall(text)) % 2:
        yield "half of a fence"
    if _CODE.sub("", text).count("**") % 2:
        yield "half of a pair"
    yield from _signs(text, (*ANYWHERE, *TEXT))


def _signs(text: str, signs: Sequence[Sign]) -> Iterable[str]:
    straight = text.translate(_STRAIGHT)
    return dict.fromkeys(sign.fault for sign in signs if sign.pattern.search(straight))
