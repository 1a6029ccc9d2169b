"""The meaning of a request: the step of Self-Instruct, the form of the answer, and the tasks that are shown."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Body = Mapping[str, Any]


class Step(StrEnum):
    """The steps, and the whole tasks of Alpaca."""

    INSTRUCTIONS = "instructions"
    CLASSIFICATION = "classification"
    INSTANCES = "instances"
    LABELS = "labels"
    TASKS = "tasks"


class Form(StrEnum):
    """The form of the answer."""

    TEXT = "text"
    JSON = "json"
    SCHEMA = "schema"


@dataclass(frozen=True)
class Asked:
    """A parsed request. `first` is the number at the end of the prompt, or 1 if there is no number."""

    step: Step
    form: Form
    prompt: str
    first: int
    stops: tuple[str, ...]

    @property
    def instruction(self) -> str:
        """The instruction of the question: the last one that follows the word Task."""
        return found[-1].strip() if (found := _TASK.findall(self.prompt)) else ""

    @property
    def wants_labels(self) -> bool:
        """Whether the request asks for classification tasks only."""
        return "classification tasks" in self.prompt[:_HEAD_CHARS].lower()

    @property
    def shown(self) -> list[str]:
        """The instructions that the prompt shows."""
        lines = self.prompt.splitlines()
        if self.form is not Form.TEXT:
            return [text for line in lines for text in _in_json(line)]
        pattern = _SHOWN_TASK if self.step is Step.TASKS else _SHOWN
        return [found[1] for line in lines if (found := pattern.match(line))]


_HEAD_CHARS = 200
_NAMES = {"instructions": Step.INSTRUCTIONS, "is_classification": Step.CLASSIFICATION, "tasks": Step.TASKS}
_NAME = re.compile(r'"(instructions|is_classification|instances|tasks)"')
_TASK = re.compile(r"^Task: (.+)$", re.MULTILINE)
_SHOWN = re.compile(r"^\d+\. (\S.*)$")
_SHOWN_TASK = re.compile(r"^\d+\. Instruction: (\S.*)$")
_FIRST = re.compile(r"(\d+)\s*\.?(?:\s*Instruction:)?$")


def understood(body: Body) -> Asked:
    """Return the parsed request."""
    messages = [_content(message) for message in body["messages"]]
    prompt = "\n".join(messages)
    step, form = _from_schema(body) or _from_names(prompt) or (_from_text(messages), Form.TEXT)
    first = _FIRST.search(prompt.rstrip())
    return Asked(step, form, prompt, int(first[1]) if first else 1, _stops(body))


def _content(message: Mapping[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _stops(body: Body) -> tuple[str, ...]:
    stop = body.get("stop") or ()
    return (stop,) if isinstance(stop, str) else tuple(stop)


def _from_schema(body: Body) -> tuple[Step, Form] | None:
    wanted = body.get("response_format") or {}
    if "json_schema" not in wanted:
        return None
    properties = wanted["json_schema"]["schema"]["properties"]
    name = next(iter(properties))
    if name in _NAMES:
        return _NAMES[name], Form.SCHEMA
    return _instances_or_labels([*properties[name]["items"]["properties"]]), Form.SCHEMA


def _from_names(prompt: str) -> tuple[Step, Form] | None:
    """Find the step by the first of the names in quotes, in a prompt that asks for JSON."""
    found = _NAME.search(prompt) if "JSON" in prompt else None
    if found is None:
        return None
    if found[1] in _NAMES:
        return _NAMES[found[1]], Form.JSON
    return _instances_or_labels(re.findall(r'"(input|output)"', prompt[found.end() :])), Form.JSON


def _instances_or_labels(fields: Sequence[str]) -> Step:
    return Step.LABELS if fields and fields[0] == "output" else Step.INSTANCES


def _from_text(messages: Sequence[str]) -> Step:
    end = messages[-1].rstrip()
    if end.endswith("Is it classification?"):
        return Step.CLASSIFICATION
    if end.endswith("Instruction:"):
        return Step.TASKS
    beginnings = {"Come up with examples": Step.INSTANCES, "Each task below": Step.LABELS}
    found = (step for text in messages for start, step in beginnings.items() if text.lstrip().startswith(start))
    return next(found, Step.INSTRUCTIONS)


def _in_json(line: str) -> Iterator[str]:
    if line.startswith(('"', '{"instruction":')):
        try:
            value = json.loads(line.rstrip().rstrip(","))
        except ValueError:
            return
        yield value if isinstance(value, str) else value["instruction"]
