"""Answers of a model that writes text although it should write JSON: `write(rng, value)`."""

import random
from collections.abc import Callable, Mapping
from typing import Any

from tests.fakes.chat.block_shapes import BLOCK_SHAPES
from tests.fakes.chat.instance_shapes import INSTANCE_SHAPES
from tests.fakes.chat.list_shapes import LIST_SHAPES
from tests.fakes.chat.shapes import Shape, of_kind
from tests.fakes.chat.tasks import Pair, Task
from tests.fakes.chat.verdict_shapes import VERDICT_SHAPES

_LIST_KINDS = ("own-number", "bullets", "chatty", "preamble")


def in_text(rng: random.Random, value: Mapping[str, Any]) -> str:
    """Return the value of an answer as text, in a shape that chat models like."""
    ((name, content),) = value.items()
    return _WRITERS[name](rng, content)


def _list(rng: random.Random, content: list[str]) -> str:
    shapes = [shape for kind in _LIST_KINDS for shape in of_kind(LIST_SHAPES, kind)]
    return rng.choice(shapes).write(rng, content, 1)


def _blocks(rng: random.Random, content: list[Mapping[str, str]]) -> str:
    tasks = [Task(**each) for each in content]
    return rng.choice(of_kind(BLOCK_SHAPES, "from-one")).write(rng, tasks, 1)


def _examples(rng: random.Random, content: list[Mapping[str, str]]) -> str:
    return rng.choice(of_kind(INSTANCE_SHAPES, "bold-label")).write(rng, [Pair(**each) for each in content])


def _verdict(rng: random.Random, content: bool) -> str:  # noqa: FBT001 - what a verdict says
    return rng.choice(of_kind(VERDICT_SHAPES, "reason")).write(rng, content)


_WRITERS: dict[str, Callable[[random.Random, Any], str]] = {
    "instructions": _list,
    "tasks": _blocks,
    "instances": _examples,
    "is_classification": _verdict,
}

TEXT_SHAPE = Shape("text", "text", in_text, readable=False)
