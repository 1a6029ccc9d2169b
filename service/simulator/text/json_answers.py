"""JSON answers: recognises the stage by the schema or the wording of a request, and writes its texts as JSON."""

import json
import random
import re
from collections.abc import Mapping
from typing import Any

from service.simulator.options import SimulatorOptions
from service.simulator.text import instances
from service.simulator.text.instructions import InstructionWriter
from service.simulator.text.prompt_parser import Stage
from service.simulator.text.wording import wording_in

Body = Mapping[str, Any]

_STAGES = {
    "instructions": Stage.INSTRUCTIONS,
    "tasks": Stage.ALPACA,
    "is_classification": Stage.CLASSIFICATION,
    "instances": Stage.GENERATION_INSTANCES,
}
_IN_WORDS = re.compile(r'\{"(instructions|tasks|is_classification|instances)":')
_TASK = re.compile(r"^Task: (.*)$", re.MULTILINE)
_MOST_PAIRS = 3
_NO_INPUT = 0.4


def wanted_stage(body: Body) -> Stage | None:
    """Return the stage that a request wants answered in JSON, None if it wants text."""
    schema = _schema(body)
    if schema is None:
        return _stage_in_words(body)
    found = schema.get("properties")
    properties = found if isinstance(found, dict) else {}
    stage = _STAGES.get(next(iter(properties), ""))
    return _labels_first(properties["instances"]) if stage is Stage.GENERATION_INSTANCES else stage


def write_json(options: SimulatorOptions, rng: random.Random, prompt: str, stage: Stage) -> str:
    """Generate the JSON answer of a stage to a prompt."""
    about = _TASK.findall(prompt)
    instruction = about[-1] if about else ""
    match stage:
        case Stage.CLASSIFICATION:
            verdict = instances.verdict(wording_in(options.vocabulary), options.seed, instruction).strip() == "Yes"
            return json.dumps({"is_classification": verdict})
        case Stage.GENERATION_INSTANCES | Stage.CLASSIFICATION_INSTANCES:
            return json.dumps({"instances": _pairs(options, rng, instruction, stage)})
        case Stage.ALPACA:
            written = InstructionWriter(options, rng, prompt, stage).write(rng.randint(*options.alpaca_tasks_per_reply))
            return json.dumps({"tasks": [{"instruction": text, **_pair(options, rng)} for text in written]})
        case _:
            written = InstructionWriter(options, rng, prompt, stage).write(rng.randint(*options.tasks_per_reply))
            return json.dumps({"instructions": written})


def _schema(body: Body) -> Body | None:
    """Return the JSON schema of a request, from `response_format` or llama.cpp's top-level `json_schema`."""
    format_ = body.get("response_format")
    nested = format_.get("json_schema") if isinstance(format_, dict) else None
    schema = nested.get("schema") if isinstance(nested, dict) else body.get("json_schema")
    return schema if isinstance(schema, dict) else None


def _stage_in_words(body: Body) -> Stage | None:
    messages = body.get("messages")
    said = [message.get("content") for message in messages] if isinstance(messages, list) else [body.get("prompt")]
    named = _IN_WORDS.search("\n".join(text for text in said if isinstance(text, str)))
    return None if named is None else _STAGES[named[1]]


def _labels_first(instances_schema: object) -> Stage:
    items = instances_schema.get("items") if isinstance(instances_schema, dict) else None
    properties = items.get("properties") if isinstance(items, dict) else None
    first = next(iter(properties), "") if isinstance(properties, dict) else ""
    return Stage.CLASSIFICATION_INSTANCES if first == "output" else Stage.GENERATION_INSTANCES


def _pairs(options: SimulatorOptions, rng: random.Random, instruction: str, stage: Stage) -> list[dict[str, str]]:
    if rng.random() < options.unusable_rate:
        return []
    if stage is Stage.CLASSIFICATION_INSTANCES:
        wording = wording_in(options.vocabulary)
        labels = instances.labels_of(wording, rng, instruction)
        return [{"output": label.capitalize(), "input": instances.prose(wording, rng, 1)} for label in labels]
    return [_pair(options, rng) for _ in range(rng.randint(1, _MOST_PAIRS))]


def _pair(options: SimulatorOptions, rng: random.Random) -> dict[str, str]:
    wording = wording_in(options.vocabulary)
    given = "" if rng.random() < _NO_INPUT else instances.prose(wording, rng, 1)
    return {"input": given, "output": instances.prose(wording, rng, rng.randint(1, 2))}
