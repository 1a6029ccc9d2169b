"""The input of a language model for one completion: a text, and for chat models more than that."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class AnswerSchema:
    """The JSON Schema of an answer, under a name that servers ask for; `text` is the schema as JSON.

    Of JSON Schema it uses objects whose properties are all required, lists, strings and booleans: what every server
    knows. Numbers of items and lengths are left to the prompt, since servers limit or refuse them.
    """

    name: str
    text: str

    @classmethod
    def of(cls, name: str, schema: Schema) -> "AnswerSchema":
        """Return a schema; the order of properties is kept, since models write them in that order."""
        return cls(name, json.dumps(schema, separators=(",", ":")))

    @cached_property
    def value(self) -> Schema:
        """The schema as a mapping."""
        value: Schema = json.loads(self.text)
        return value

    def fits(self, answer: str) -> bool:
        """Return whether a text is, as a whole, JSON of this schema."""
        try:
            return _conforms(json.loads(answer), self.value)
        except (ValueError, RecursionError):
            return False


@dataclass(frozen=True, slots=True)
class AnswerCheck:
    """A condition that a completion has to meet, in words and as a test; one that does not is a failed call."""

    expected: str
    holds: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class ModelInput:
    """A prompt as a model is to see it.

    `system` goes before the text, as a message of its own where the interface has messages. With `schema`, the answer
    is to be JSON of that schema, as far as the server can see to it. A completion that does not pass `check` is asked
    for again a few times.
    """

    text: str
    system: str = ""
    schema: AnswerSchema | None = None
    check: AnswerCheck | None = field(default=None, compare=False)

    @property
    def as_text(self) -> str:
        """The whole as one text, for interfaces without messages."""
        return f"{self.system}\n\n{self.text}" if self.system else self.text


def _conforms(value: object, schema: Schema) -> bool:
    match schema["type"]:
        case "object":
            properties = schema["properties"]
            return (
                isinstance(value, dict)
                and value.keys() == properties.keys()
                and all(_conforms(value[name], each) for name, each in properties.items())
            )
        case "array":
            return isinstance(value, list) and all(_conforms(each, schema["items"]) for each in value)
        case "boolean":
            return isinstance(value, bool)
        case _:
            return isinstance(value, str)


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list_of(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_STRING: Schema = {"type": "string"}

INSTRUCTIONS = AnswerSchema.of("instructions", _object(instructions=_list_of(_STRING)))
TASKS = AnswerSchema.of("tasks", _object(tasks=_list_of(_object(instruction=_STRING, input=_STRING, output=_STRING))))
CLASSIFICATION = AnswerSchema.of("classification", _object(is_classification={"type": "boolean"}))
GENERATION_INSTANCES = AnswerSchema.of("instances", _object(instances=_list_of(_object(input=_STRING, output=_STRING))))
# The label comes first, or the model would write inputs of one label only (Self-Instruct §2.2, output-first).
CLASSIFICATION_INSTANCES = AnswerSchema.of(
    "labelled_instances", _object(instances=_list_of(_object(output=_STRING, input=_STRING)))
)
