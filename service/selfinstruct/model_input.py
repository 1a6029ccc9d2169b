"""Input of a language model for one completion: the text, a system message, and a schema and a check of the answer."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from msgspec import Struct

from service.selfinstruct.recipe import Form, Recipe, RecipeName

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class AnswerSchema:
    """The JSON Schema of an answer, under the `name` that servers require; `text` is the schema as JSON.

    It uses only objects whose properties are all required, lists, strings and booleans, which every server supports.
    The prompt states numbers of items and lengths, since servers limit or reject these in a schema.
    """

    name: str
    text: str

    @classmethod
    def of(cls, name: str, schema: Schema) -> "AnswerSchema":
        """Return a schema that keeps the order of properties, since models write them in that order."""
        return cls(name, json.dumps(schema, separators=(",", ":")))

    @cached_property
    def value(self) -> Schema:
        """The schema, parsed from `text`."""
        value: Schema = json.loads(self.text)
        return value

    def fits(self, answer: str) -> bool:
        """Return whether the text as a whole is JSON that conforms to this schema."""
        try:
            return _conforms(json.loads(answer), self.value)
        except (ValueError, RecursionError):
            return False


class AnswerCheck(Struct, frozen=True):
    """A condition on a completion, in words and as a test. A call whose completions do not meet it fails."""

    expected: str
    holds: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class ModelInput:
    """A prompt as it is sent to a model.

    `system` precedes the text, as a separate message if the interface has messages. `schema` requires an answer in JSON
    of that schema, as far as the server can enforce it. A completion that fails `check` is requested again a few times.
    `api` is the interface to use, where the same model is asked over both.
    """

    text: str
    system: str = ""
    schema: AnswerSchema | None = None
    check: AnswerCheck | None = field(default=None, compare=False)
    api: Literal["chat", "completions"] | None = None

    @property
    def as_text(self) -> str:
        """System message and text as one text, for interfaces without messages."""
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
# The label comes first: otherwise the model would write inputs of one label only (Self-Instruct §2.2, output-first).
CLASSIFICATION_INSTANCES = AnswerSchema.of(
    "labelled_instances", _object(instances=_list_of(_object(output=_STRING, input=_STRING)))
)


def schema_of_tasks(recipe: Recipe) -> AnswerSchema | None:
    """Return the schema of the replies to a prompt for tasks; None in the form text."""
    if recipe.form is Form.TEXT:
        return None
    return TASKS if recipe.name is RecipeName.ALPACA else INSTRUCTIONS
