"""Reply generator: a deterministic function of the options, including the seed, and the prompt."""

import random
import re
from collections.abc import Callable, Sequence
from itertools import islice

from msgspec import Struct

from service.simulator.options import SimulatorOptions
from service.simulator.text import instances
from service.simulator.text.instructions import InstructionWriter
from service.simulator.text.json_answers import write_json
from service.simulator.text.prompt_parser import Request, Stage, recognise
from service.simulator.text.word_tables import seeded
from service.simulator.text.wording import Wording, wording_in

_TOKEN = re.compile(r"\S+")
# Bounds of the share of a truncated reply that is kept.
_LEAST_KEPT, _MOST_KEPT = 0.3, 0.95
_ALPACA_NO_INPUT = 0.4


class Reply(Struct, frozen=True):
    """A reply before the request's limits are applied; `truncated`: the model's own limit has cut it short."""

    text: str
    truncated: bool = False


class Ended(Struct, frozen=True):
    """A reply cut to the request's limits, with OpenAI's finish reason."""

    text: str
    finish_reason: str
    tokens: int


def count_tokens(text: str) -> int:
    """Count the words of a text, which are the tokens of this model."""
    return len(text.split())


def write_reply(options: SimulatorOptions, prompt: str, json_stage: Stage | None = None) -> Reply:
    """Generate the reply to a prompt; a share of `truncation_rate` is cut short, except for verdicts.

    With `json_stage`, the reply is the JSON answer of that stage, whatever the form of the prompt.
    """
    if json_stage is not None:
        return _json_reply(options, prompt, json_stage)
    request = recognise(prompt)
    if request.stage is Stage.CLASSIFICATION:
        return Reply(instances.verdict(wording_in(options.vocabulary), options.seed, request.instruction))
    rng = seeded(options.seed, prompt)
    truncated = rng.random() < options.truncation_rate
    text = _WRITERS[request.stage](_Task(options, rng, prompt, request))
    return Reply(_shortened(text, rng), truncated=True) if truncated else Reply(text)


def _json_reply(options: SimulatorOptions, prompt: str, stage: Stage) -> Reply:
    rng = seeded(options.seed, prompt)
    truncated = stage is not Stage.CLASSIFICATION and rng.random() < options.truncation_rate
    text = write_json(options, rng, prompt, stage)
    return Reply(_shortened(text, rng), truncated=True) if truncated else Reply(text)


def end_reply(reply: Reply, stop: Sequence[str], max_tokens: int | None) -> Ended:
    """Cut a reply at `max_tokens` tokens and before the first stop string."""
    text = reply.text
    tokens = count_tokens(text)
    finish_reason = "length" if reply.truncated else "stop"
    if max_tokens is not None and tokens > max_tokens:
        text, finish_reason = first_tokens(text, max_tokens), "length"
        tokens = max_tokens
    found = [place for place in map(text.find, stop) if place >= 0]
    if not found:
        return Ended(text, finish_reason, tokens)
    text = text[: min(found)]
    return Ended(text, "stop", count_tokens(text))


class _Task(Struct, frozen=True):
    options: SimulatorOptions
    rng: random.Random
    prompt: str
    request: Request

    def instructions(self, least_and_most: tuple[int, int]) -> list[str]:
        writer = InstructionWriter(self.options, self.rng, self.prompt, self.request.stage)
        return writer.write(self.rng.randint(*least_and_most))

    @property
    def wording(self) -> Wording:
        return wording_in(self.options.vocabulary)

    @property
    def unusable(self) -> bool:
        return self.rng.random() < self.options.unusable_rate


def _instructions(task: _Task) -> str:
    first, *others = task.instructions(task.options.tasks_per_reply)
    numbered = [f"\n{number}. {text}" for number, text in enumerate(others, task.request.number + 1)]
    return f" {first}{''.join(numbered)}"


def _alpaca(task: _Task) -> str:
    pieces = []
    numbered = enumerate(task.instructions(task.options.alpaca_tasks_per_reply), task.request.number)
    for number, instruction in numbered:
        head = f" {instruction}" if number == task.request.number else f"{number}. Instruction: {instruction}"
        pieces.append(f"{head}\n{_alpaca_instance(task, number)}\n")
    return "\n###\n".join(pieces)


def _alpaca_instance(task: _Task, number: int) -> str:
    text = "<noinput>" if task.rng.random() < _ALPACA_NO_INPUT else instances.prose(task.wording, task.rng, 1)
    output = f"{number}. Output:\n{instances.prose(task.wording, task.rng, task.rng.randint(1, 2))}"
    return output if task.unusable else f"{number}. Input:\n{text}\n{output}"


def _generation_instances(task: _Task) -> str:
    write = instances.unusable_generation if task.unusable else instances.generation_instances
    return write(task.wording, task.rng)


def _classification_instances(task: _Task) -> str:
    if task.unusable:
        return instances.unusable_classification(task.wording, task.rng)
    return instances.classification_instances(task.wording, task.rng, task.request.instruction)


def _prose(task: _Task) -> str:
    return f" {instances.prose(task.wording, task.rng, task.rng.randint(2, 4))}"


_WRITERS: dict[Stage, Callable[[_Task], str]] = {
    Stage.INSTRUCTIONS: _instructions,
    Stage.ALPACA: _alpaca,
    Stage.GENERATION_INSTANCES: _generation_instances,
    Stage.CLASSIFICATION_INSTANCES: _classification_instances,
    Stage.UNKNOWN: _prose,
}


def _shortened(text: str, rng: random.Random) -> str:
    kept = int(count_tokens(text) * rng.uniform(_LEAST_KEPT, _MOST_KEPT))
    return first_tokens(text, max(1, kept))


def first_tokens(text: str, count: int) -> str:
    """Return the first `count` tokens of a text, or the whole text if it has fewer."""
    last = next(islice(_TOKEN.finditer(text), count - 1, None), None)
    return text[: last.end()] if last else text
