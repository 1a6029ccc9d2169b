"""The habits of an ordinary chat model: the frequency of each shape, by step and form.

The tables are in percent by kind of shape. Shapes of one kind are equally frequent.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.fakes.chat.block_shapes import BLOCK_SHAPES
from tests.fakes.chat.instance_shapes import INSTANCE_SHAPES
from tests.fakes.chat.json_shapes import JSON_SHAPES
from tests.fakes.chat.json_text import TEXT_SHAPE
from tests.fakes.chat.label_shapes import LABEL_SHAPES
from tests.fakes.chat.list_shapes import LIST_SHAPES
from tests.fakes.chat.remarks import REFUSALS, remark
from tests.fakes.chat.shapes import Shape, of_kind
from tests.fakes.chat.steps import Form, Step
from tests.fakes.chat.verdict_shapes import UNREADABLE_VERDICT, VERDICT_SHAPES
from tests.fakes.chat.wrappings import THINKING

REFUSAL = Shape("refusal", "refusal", lambda rng, *_: remark(rng, REFUSALS), readable=False)


@dataclass(frozen=True)
class Row:
    """A shape and its share of the replies. `is_cut` means that the reply breaks off."""

    rate: float
    shape: Shape
    is_cut: bool = False


Habit = tuple[Row, ...]


@dataclass(frozen=True)
class Habits:
    """The habits for every step as text, for JSON requested in words, and for JSON with a schema."""

    text: Mapping[Step, Habit]
    json: Habit
    schema: Habit

    def of(self, step: Step, form: Form) -> Habit:
        match form:
            case Form.TEXT:
                return self.text[step]
            case Form.JSON:
                return self.json
            case Form.SCHEMA:
                return self.schema


def drawn(rng: random.Random, habit: Habit) -> Row:
    """Draw one row by the rates."""
    return rng.choices(habit, [row.rate for row in habit])[0]


def always(shape: Shape) -> Habit:
    """Return the habit of a model that uses one shape."""
    return (Row(1.0, shape),)


def _habit(shapes: Sequence[Shape], cut: Shape, percents: Mapping[str, float]) -> Habit:
    """Return the rows of a table. `cut` is the shape of the replies that break off."""
    known = (*shapes, REFUSAL)
    rows = []
    for kind, percent in percents.items():
        ways = (cut,) if kind == "cut" else of_kind(known, kind)
        rows += [Row(percent / 100 / len(ways), way, is_cut=kind == "cut") for way in ways]
    return tuple(rows)


_THINKING = {f"thinking/{name}": 1 for name in THINKING}
_AMISS = {"refusal": 1, "cut": 2}

_LISTS: Mapping[str, float] = {
    "paper": 30,
    "own-number": 10.8,
    "blank-lines": 5,
    "chatty": 5,
    "preamble": 5,
    "bold-title": 4,
    "from-one": 3,
    "closing": 3,
    "bullets": 3,
    **dict.fromkeys(("parenthesis", "parentheses", "bold-number", "no-blank", "wide", "task-label", "bold-item"), 1),
    **dict.fromkeys(
        (
            "quoted-item",
            "sub-bullets",
            "heading",
            "rules",
            "fence",
            "end-token",
            "windows",
            "wrapped",
            "one-line",
            "table",
        ),
        1.25,
    ),
    **_THINKING,
    "thinking-aloud": 0.7,
    **_AMISS,
}
_BLOCKS: Mapping[str, float] = {
    "paper": 30,
    "label-repeated": 12,
    "bold-number": 3,
    "bold-label": 3,
    "unnumbered": 4,
    "no-separator": 5,
    "no-input-words": 5,
    "preamble": 4,
    "closing": 3,
    "same-line": 4,
    "blank-lines": 4,
    **dict.fromkeys(("separator-first", "from-one", "headings-in-output", "chatty", "task-heading"), 1.5),
    **dict.fromkeys(("end-token", "fence"), 1.25),
    **_THINKING,
    "broken": 1.5,
    "merged": 0.5,
    **_AMISS,
}
_VERDICTS: Mapping[str, float] = {
    "paper": 35,
    "stop": 14,
    "bold": 5,
    "blank-lines": 3,
    "reason": 14,
    "label": 4,
    "sentence": 4,
    "case": 4,
    "quoted": 2,
    "end-token": 2,
    **_THINKING,
    "unreadable": 2,
    **_AMISS,
}
_INSTANCES: Mapping[str, float] = {
    "paper": 32,
    "colon": 8,
    "bold-heading": 4,
    "heading": 3,
    "bold-label": 8,
    "none-words": 5,
    "preamble": 5,
    "closing": 3,
    "chatty": 4,
    "rules": 2,
    "own-lines": 4,
    "fenced-output": 2,
    "fence": 1.5,
    "direct": 6,
    "end-token": 1.5,
    **_THINKING,
    **_AMISS,
}
_LABELS: Mapping[str, float] = {
    "paper": 35,
    "bold": 8,
    "numbered": 5,
    "example-headings": 4,
    "preamble": 7,
    "closing": 5,
    "blank-lines": 10,
    "other-case": 5,
    "bullets": 4,
    "rules": 3,
    "end-token": 3,
    **_THINKING,
    **_AMISS,
}
_JSON: Mapping[str, float] = {
    "bare": 32,
    "json-fence": 30,
    "fence": 4,
    "prose-before": 6,
    "prose-after": 2,
    "prose-around": 5,
    "trailing-commas": 2,
    "pretty": 6,
    "blank-lines-before": 2,
    "raw-line-feeds": 2,
    "thinking": 3,
    "end-token": 2,
    "text": 1,
    **_AMISS,
}
_SCHEMA: Mapping[str, float] = {
    "bare": 90,
    "json-fence": 2,
    "prose-before": 0.5,
    "prose-around": 0.5,
    "trailing-commas": 0.5,
    "pretty": 0.5,
    "blank-lines-before": 0.5,
    "raw-line-feeds": 0.5,
    "thinking": 0.7,
    "end-token": 0.3,
    "text": 1,
    **_AMISS,
}

ORDINARY = Habits(
    text={
        Step.INSTRUCTIONS: _habit(LIST_SHAPES, LIST_SHAPES[0], _LISTS),
        Step.TASKS: _habit(BLOCK_SHAPES, BLOCK_SHAPES[0], _BLOCKS),
        Step.CLASSIFICATION: _habit((*VERDICT_SHAPES, UNREADABLE_VERDICT), UNREADABLE_VERDICT, _VERDICTS),
        Step.INSTANCES: _habit(INSTANCE_SHAPES, INSTANCE_SHAPES[0], _INSTANCES),
        Step.LABELS: _habit(LABEL_SHAPES, LABEL_SHAPES[0], _LABELS),
    },
    json=_habit((*JSON_SHAPES, TEXT_SHAPE), JSON_SHAPES[0], _JSON),
    schema=_habit((*JSON_SHAPES, TEXT_SHAPE), JSON_SHAPES[0], _SCHEMA),
)
