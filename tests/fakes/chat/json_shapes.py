"""The shapes of an answer in JSON: `write(rng, value)`. `cut` shortens any answer."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.fakes.chat.remarks import JSON_PREAMBLES, TASK_CLOSINGS, remark
from tests.fakes.chat.shapes import Shape, around, wrapped_shapes
from tests.fakes.chat.wrappings import THINKING, ended

JsonWriter = Callable[[random.Random, object], str]

_EARLIEST_CUT, _LATEST_CUT = 0.25, 0.9
_INDENT = "  "
_GAPS = ("\n", "\n\n")


@dataclass(frozen=True)
class _Slips:
    trailing_commas: bool = False
    raw_line_feeds: bool = False


_NO_SLIPS = _Slips()


def as_json(rng: random.Random, value: object, *, pretty: bool) -> str:
    """Return a value as JSON, on one line or pretty printed. Some letters beyond ASCII are escaped."""
    return json.dumps(value, ensure_ascii=rng.random() < 1 / 5, indent=2 if pretty else None)


def cut(rng: random.Random, text: str) -> str:
    """Return a text that breaks off somewhere in the middle."""
    return text[: int(len(text) * rng.uniform(_EARLIEST_CUT, _LATEST_CUT))]


def _bare(rng: random.Random, value: object) -> str:
    return as_json(rng, value, pretty=rng.random() < 1 / 4)


def _pretty(rng: random.Random, value: object) -> str:
    return as_json(rng, value, pretty=True)


def _in_fence(name: str) -> JsonWriter:
    return lambda rng, value: f"```{name}\n{_pretty(rng, value)}\n```"


def _after_prose(plain: JsonWriter) -> JsonWriter:
    return lambda rng, value: f"{remark(rng, JSON_PREAMBLES)}{rng.choice(_GAPS)}{plain(rng, value)}"


def _before_prose(plain: JsonWriter) -> JsonWriter:
    return lambda rng, value: f"{plain(rng, value)}\n\n{remark(rng, TASK_CLOSINGS)}"


def _slipped(slips: _Slips) -> JsonWriter:
    return lambda _, value: _dumped(value, slips, "\n")


def _dumped(value: object, slips: _Slips, indent: str) -> str:
    """Return a value as JSON with slips, pretty printed."""
    deeper = indent + _INDENT
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}: {_dumped(each, slips, deeper)}" for name, each in value.items()]
        return _enclosed("{}", parts, slips, indent)
    if isinstance(value, list):
        return _enclosed("[]", [_dumped(each, slips, deeper) for each in value], slips, indent)
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and slips.raw_line_feeds:
        lines = (json.dumps(line, ensure_ascii=False)[1:-1] for line in value.split("\n"))
        return '"{}"'.format("\n".join(lines))
    return text


def _enclosed(brackets: str, parts: list[str], slips: _Slips, indent: str) -> str:
    comma = "," if slips.trailing_commas and parts else ""
    return f"{brackets[0]}{indent}{_INDENT}{f',{indent}{_INDENT}'.join(parts)}{comma}{indent}{brackets[1]}"


JSON_SHAPES: tuple[Shape, ...] = (
    Shape("bare", "bare", _bare),
    Shape("json-fence", "json-fence", _in_fence("json")),
    Shape("fence", "fence", _in_fence("")),
    Shape("prose-before", "prose-before", _after_prose(_bare)),
    Shape("prose-before-fence", "prose-before", _after_prose(_in_fence("json"))),
    Shape("prose-after", "prose-after", _before_prose(_bare)),
    Shape("prose-around", "prose-around", _after_prose(_before_prose(_in_fence("json")))),
    Shape("trailing-commas", "trailing-commas", _slipped(_Slips(trailing_commas=True))),
    Shape("pretty", "pretty", _pretty),
    Shape("blank-lines-before", "blank-lines-before", lambda rng, value: f"\n\n{_bare(rng, value)}"),
    Shape("raw-line-feeds", "raw-line-feeds", _slipped(_Slips(raw_line_feeds=True))),
    *wrapped_shapes(THINKING, "thinking", Shape("", "", _bare)),
    Shape("end-token", "end-token", around(ended, _bare)),
)
