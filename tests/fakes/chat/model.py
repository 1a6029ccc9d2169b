"""The chat model. A reply depends on the seed, the prompt, and the number of times that the prompt was sent before."""

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tests.fakes.chat.habits import ORDINARY, REFUSAL, Habits, Row, always, drawn
from tests.fakes.chat.journal import Entry, Journal
from tests.fakes.chat.json_shapes import JSON_SHAPES, cut
from tests.fakes.chat.near_copies import near_copy
from tests.fakes.chat.outputs import headed
from tests.fakes.chat.shapes import Shape
from tests.fakes.chat.steps import Asked, Body, Form, Step, understood
from tests.fakes.chat.tasks import (
    Pair,
    Task,
    asks_for_label,
    write_instruction,
    write_label_instruction,
    write_label_pairs,
    write_pair,
    write_pair_without_input,
    write_pairs,
)
from tests.fakes.chat.truth import Folded, Meant, Truth

_INSTRUCTIONS_IN_A_REPLY = 7
_TASKS_IN_A_REPLY = 8
_NEAR_COPY_RATE = 0.08


@dataclass(frozen=True)
class Reply:
    """The text of a reply, and its finish reason."""

    content: str
    finish_reason: str


@dataclass
class ChatModel:
    """A model that writes like a chat model, and records the tasks that it meant.

    `honours_stops` ends replies at the request's stop strings, as servers do. `enforces_schema` answers every request
    with a schema by bare JSON.
    """

    seed: int
    honours_stops: bool = True
    enforces_schema: bool = False
    habits: Habits = ORDINARY
    truth: Truth = field(default_factory=Truth)
    journal: Journal = field(default_factory=Journal)
    _seen: Counter[str] = field(default_factory=Counter)

    @property
    def meant_instructions(self) -> set[str]:
        """The instructions that the model meant, with single blanks."""
        return self.truth.meant_instructions

    @property
    def meant_pairs(self) -> set[Folded]:
        """The instances that the model meant, as (input, output) with single blanks."""
        return self.truth.meant_pairs

    def reply(self, body: Body) -> Reply:
        """Answer a request for a chat completion."""
        asked = understood(body)
        rng = self._random(asked.prompt)
        row = self._row(rng, asked)
        meant = Meant() if row.shape is REFUSAL else _meant(rng, asked, row.shape)
        text = _written(rng, asked, row.shape, meant)
        reply = self._ended(asked, cut(rng, text) if row.is_cut else text, is_cut=row.is_cut)
        self.truth.learn(meant)
        self.journal.add(_entry(asked, row.shape, reply, meant))
        return reply

    def _random(self, prompt: str) -> random.Random:
        digest = hashlib.sha256(prompt.encode()).hexdigest()
        times = self._seen[digest]
        self._seen[digest] += 1
        return random.Random(f"{self.seed}/{digest}/{times}")

    def _row(self, rng: random.Random, asked: Asked) -> Row:
        enforced = self.enforces_schema and asked.form is Form.SCHEMA
        return drawn(rng, always(JSON_SHAPES[0]) if enforced else self.habits.of(asked.step, asked.form))

    def _ended(self, asked: Asked, text: str, *, is_cut: bool) -> Reply:
        places = [at for stop in asked.stops if (at := text.find(stop)) >= 0] if self.honours_stops else []
        if places:
            return Reply(text[: min(places)], "stop")
        return Reply(text, "length" if is_cut else "stop")


def _meant(rng: random.Random, asked: Asked, shape: Shape) -> Meant:
    match asked.step:
        case Step.INSTRUCTIONS:
            return Meant(instructions=_new_instructions(rng, asked, _INSTRUCTIONS_IN_A_REPLY))
        case Step.TASKS:
            instructions = _new_instructions(rng, asked, _TASKS_IN_A_REPLY)
            tasks = tuple(_task(text, _pair_for(rng, shape)) for text in instructions)
            return Meant(instructions, tasks)
        case Step.CLASSIFICATION:
            return Meant(verdict=(asked.instruction, asks_for_label(asked.instruction)))
        case Step.INSTANCES:
            pairs = (write_pair_without_input(rng),) if shape.kind == "direct" else write_pairs(rng)
            return Meant(tasks=_tasks_of(asked, pairs))
        case Step.LABELS:
            return Meant(tasks=_tasks_of(asked, write_label_pairs(rng)))


def _new_instructions(rng: random.Random, asked: Asked, count: int) -> tuple[str, ...]:
    write = write_label_instruction if asked.wants_labels else write_instruction
    shown = asked.shown
    copies = [near_copy(rng, shown) if rng.random() < _NEAR_COPY_RATE else None for _ in range(count)]
    return tuple(copy or write(rng) for copy in copies)


def _pair_for(rng: random.Random, shape: Shape) -> Pair:
    pair = write_pair(rng)
    return replace(pair, output=headed(rng)) if shape.kind == "headings-in-output" else pair


def _tasks_of(asked: Asked, pairs: Sequence[Pair]) -> tuple[Task, ...]:
    return tuple(_task(asked.instruction, pair) for pair in pairs)


def _task(instruction: str, pair: Pair) -> Task:
    return Task(instruction, pair.input, pair.output)


def _written(rng: random.Random, asked: Asked, shape: Shape, meant: Meant) -> str:
    if asked.form is not Form.TEXT or shape is REFUSAL:
        return shape.write(rng, _value(asked.step, meant))
    match asked.step:
        case Step.INSTRUCTIONS:
            return shape.write(rng, meant.instructions, asked.first)
        case Step.TASKS:
            return shape.write(rng, meant.tasks, asked.first)
        case Step.CLASSIFICATION:
            return shape.write(rng, meant.verdict is not None and meant.verdict[1])
        case Step.INSTANCES | Step.LABELS:
            return shape.write(rng, [task.pair for task in meant.tasks])


def _value(step: Step, meant: Meant) -> dict[str, Any]:
    """Return the answer as the JSON that the request asks for. Labels come before their inputs."""
    match step:
        case Step.INSTRUCTIONS:
            return {"instructions": [*meant.instructions]}
        case Step.TASKS:
            return {"tasks": [asdict(task) for task in meant.tasks]}
        case Step.CLASSIFICATION:
            return {"is_classification": meant.verdict is not None and meant.verdict[1]}
        case Step.INSTANCES:
            return {"instances": [{"input": task.input, "output": task.output} for task in meant.tasks]}
        case Step.LABELS:
            return {"instances": [{"output": task.output, "input": task.input} for task in meant.tasks]}


def _entry(asked: Asked, shape: Shape, reply: Reply, meant: Meant) -> Entry:
    has_schema = asked.form is Form.SCHEMA
    form = str(asked.form)
    return Entry(asked.step, form, shape.name, shape.kind, bool(asked.stops), has_schema, reply.finish_reason, meant)
