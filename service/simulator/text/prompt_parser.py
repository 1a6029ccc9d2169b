"""Recognition of a prompt's stage. The end of the prompt decides, since users may replace the templates."""

import json
import re
from enum import StrEnum

from msgspec import Struct

_NUMBER = re.compile(r"(\d+)\s?[.)]")
_ALPACA = re.compile(r"[#\s]*(\d+)\s?\.\s*Instruction\s*:", re.IGNORECASE)
_ALPACA_DEMONSTRATION = re.compile(r"\s*Instruction\s*:\s*(.*)", re.IGNORECASE)


class Stage(StrEnum):
    """The stage of a recipe that a prompt belongs to."""

    INSTRUCTIONS = "instructions"
    ALPACA = "alpaca"
    CLASSIFICATION = "classification"
    GENERATION_INSTANCES = "generation_instances"
    CLASSIFICATION_INSTANCES = "classification_instances"
    UNKNOWN = "unknown"


class Request(Struct, frozen=True):
    """A parsed prompt: its stage, the instruction that it concerns and the number of the first task to write."""

    stage: Stage
    instruction: str = ""
    number: int = 0


def _in_json(prompt: str) -> list[str]:
    """Return the instructions of a JSON list with one task on each line."""
    found = []
    for line in prompt.splitlines():
        if line.startswith(('"', "{")):
            try:
                task = json.loads(line.rstrip(","))
            except ValueError:
                continue
            text = task.get("instruction") if isinstance(task, dict) else task
            found += [text] if isinstance(text, str) else []
    return found


def recognise(prompt: str) -> Request:
    """Recognise the stage of a prompt by its last line and, for instances, by its worked examples."""
    text = prompt.rstrip()
    last_line = text[text.rfind("\n") + 1 :].strip()
    if match := _NUMBER.fullmatch(last_line):
        return Request(Stage.INSTRUCTIONS, number=int(match[1]))
    if match := _ALPACA.fullmatch(last_line):
        return Request(Stage.ALPACA, number=int(match[1]))
    return _about_one_task(text, last_line)


def _about_one_task(text: str, last_line: str) -> Request:
    start = text.rfind("\nTask:") + 1
    if not text.startswith("Task:", start):
        return Request(Stage.UNKNOWN)
    instruction = text[start + len("Task:") :].strip().split("\n", 1)[0]
    if last_line.endswith("?") and "classification" in last_line.lower() and not last_line.startswith("Task:"):
        return Request(Stage.CLASSIFICATION, instruction)
    output_first = text.find("Class label:", 0, start) >= 0
    return Request(Stage.CLASSIFICATION_INSTANCES if output_first else Stage.GENERATION_INSTANCES, instruction)


def demonstrations(prompt: str, stage: Stage) -> list[str]:
    """Return the first line of each instruction that a prompt shows as a demonstration."""
    if listed := _in_json(prompt):
        return listed
    numbered = [line.partition(".") for line in prompt.splitlines() if line[:1].isdigit()]
    texts = [text for number, _, text in numbered if number.strip().isdigit()]
    if stage is not Stage.ALPACA:
        return texts
    return [match[1] for match in map(_ALPACA_DEMONSTRATION.fullmatch, texts) if match]
