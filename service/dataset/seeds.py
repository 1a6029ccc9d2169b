"""Seed files: tasks as JSON Lines or one JSON array, in the schema of Self-Instruct's `seed_tasks.jsonl` or Alpaca's.

A task has `id`, `name`, `instruction`, `instances` and `is_classification`, or, as in `alpaca_data.json`, just
`instruction`, `input` and `output`. Further fields are ignored.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError

from service.dataset.seed_ids import own_id
from service.dataset.seed_sizes import check_fits_pool
from service.errors import SeedTaskError
from service.selfinstruct.replies.characters import without_lone_surrogates
from service.selfinstruct.tasks import Instance, SeedTask

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
# In the schema, a task without an input has an empty one; many files omit it or set it to null.
_Input = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
_PYTHON_DICTIONARY = re.compile(r"\s*\{\s*'")
_SHOWN_OF_DIGEST = 12
_SHOWN_OF_VALUE = 60
# By pydantic's types of errors: these are all that the schemas below can cause.
_EXPECTED = {
    "missing": "expected this field, and there is none",
    "string_type": "expected a text, got {came}",
    "string_too_short": "expected a text that is not empty",
    "bool_type": "expected true, false or null, got {came}",
    "list_type": "expected an array, got {came}",
    "model_type": "expected an object, got {came}",
}
OWN_SEEDS = "built-in"


class _InstanceLine(BaseModel):
    model_config = ConfigDict(strict=True)

    input: _Input = ""
    output: str


class _SeedLine(BaseModel):
    model_config = ConfigDict(strict=True)

    id: _Text
    name: str = ""
    instruction: _Text
    instances: list[_InstanceLine]
    is_classification: bool | None = None


class _AlpacaLine(BaseModel):
    """A task with the fields of its only instance beside its own; most files give it no id."""

    model_config = ConfigDict(strict=True)

    id: _Text | None = None
    name: str = ""
    instruction: _Text
    input: _Input = ""
    output: str
    is_classification: bool | None = None


def load_seeds(path: Path | None) -> tuple[SeedTask, ...]:
    """Return the seed tasks of a file, or the 175 built-in ones if `path` is None.

    Raises:
        SeedTaskError: the file is unreadable or empty, a line is no seed task (the message names file, line and field),
            or an id is repeated.
    """
    if path is None:
        text = resources.files("service").joinpath("resources/seed_tasks.jsonl").read_text("utf-8")
        return parse_seeds(text, OWN_SEEDS)
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        why = "it is a folder" if isinstance(error, IsADirectoryError) else error.strerror
        raise SeedTaskError(f"{path}: expected a readable UTF-8 file of seed tasks: {why}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SeedTaskError(
            f"{path}: expected a readable UTF-8 file of seed tasks: line {line} has a byte that is not UTF-8 "
            f"(0x{error.object[error.start]:02x}); `iconv -t UTF-8` converts it"
        ) from error
    return parse_seeds(text, str(path))


def parse_seeds(text: str, where: str) -> tuple[SeedTask, ...]:
    """Return the seed tasks of a text in JSON Lines, or of a JSON array; `where` names the text in errors.

    Raises:
        SeedTaskError: a line or element is no seed task or too long, an id is repeated, or there are no tasks.
    """
    seeds: dict[str, SeedTask] = {}
    places: dict[str, str] = {}
    if not text.strip():
        raise SeedTaskError(f"{where}: expected at least one seed task, and the file is empty")
    tasks = _in_array(text, where) if text.lstrip().startswith("[") else _in_lines(text, where)
    for place, task in tasks:
        seed = _parse_task(task, place)
        check_fits_pool(seed, place)
        name = own_id(seed.id)
        if name in seeds:
            has_id = isinstance(task, dict) and task.get("id")
            what = f"id: expected a new id, and {name!r}" if has_id else "expected another task, and this one"
            raise SeedTaskError(f"{place}: {what} is used above already, at {places[name].rpartition(', ')[2]}")
        seeds[name], places[name] = seed, place
    if not seeds:
        raise SeedTaskError(f"{where}: expected at least one seed task, found none")
    return tuple(seeds.values())


def seeds_digest(seeds: Sequence[SeedTask]) -> str:
    """Return sixteen hexadecimal digits that change with any seed task or their order."""
    canonical = json.dumps(msgspec.to_builtins(seeds), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _in_lines(text: str, where: str) -> Iterator[tuple[str, object]]:
    """Yield (place, value) for each non-blank line of a text."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            place = f"{where}, line {number}"
            try:
                yield place, without_lone_surrogates(_value(line))
            except (ValueError, RecursionError) as error:
                raise SeedTaskError(f"{place}: {_not_json(line, error)}") from error


def _in_array(text: str, where: str) -> Iterator[tuple[str, object]]:
    """Yield (place, value) for each element of a JSON array."""
    try:
        tasks = without_lone_surrogates(_value(text))
    except (ValueError, RecursionError) as error:
        raise SeedTaskError(
            f"{where}: this is a JSON array, and it cannot be read: {_why(error)}; expected [{{…}}, {{…}}] as a whole, "
            "or one task a line"
        ) from error
    yield from ((f"{where}, element {number}", task) for number, task in enumerate(tasks, 1))


def _not_json(line: str, error: Exception) -> str:
    if _PYTHON_DICTIONARY.match(line):
        return "expected a task in JSON, and this is a Python dictionary: write it with json.dumps"
    if line.strip() == "{":
        return "expected a whole task on one line, and this object goes on below: `jq -c .` puts it on one"
    return f"expected a task in JSON: {_why(error)}"


def _value(text: str) -> object:
    return json.loads(text, strict=False, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no value of JSON; write null")


def _why(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _parse_task(task: object, place: str) -> SeedTask:
    """Return the seed task in a JSON value; one with `output` and without `instances` is in Alpaca's schema.

    A missing id is derived from the content, so that it does not depend on the place of the task.
    """
    has_own_output = isinstance(task, dict) and "output" in task and "instances" not in task
    try:
        if has_own_output:
            alpaca = _AlpacaLine.model_validate(task)
            instance = Instance(alpaca.input, alpaca.output)
            name = alpaca.id or f"seed_{_digest(alpaca.instruction, alpaca.input, alpaca.output)}"
            return SeedTask(name, alpaca.name, alpaca.instruction, (instance,), alpaca.is_classification)
        parsed = _SeedLine.model_validate(task)
    except ValidationError as error:
        if isinstance(task, dict) and "instances" not in task and "output" not in task:
            raise SeedTaskError(f"{place}: {_other_schema(task)}") from error
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the line"
        came = json.dumps(first["input"], ensure_ascii=False)[:_SHOWN_OF_VALUE]
        raise SeedTaskError(
            f"{place}: {field}: {_EXPECTED.get(first['type'], first['msg']).format(came=came)}"
        ) from error
    if not parsed.instances:
        raise SeedTaskError(f"{place}: instances: expected at least one instance, got none")
    instances = tuple(Instance(each.input, each.output) for each in parsed.instances)
    return SeedTask(parsed.id, parsed.name, parsed.instruction, instances, parsed.is_classification)


def _other_schema(task: dict[str, object]) -> str:
    """Return the error message for an unknown schema: the two known schemas, and the fields of the task."""
    names = ", ".join(str(name)[:40] for name in list(task)[:8]) or "nothing"
    return (
        "expected a task of Self-Instruct (id, instruction, instances) or of Alpaca (instruction, input, output), "
        f"and it has: {names}"
    )


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "replace")).hexdigest()[:_SHOWN_OF_DIGEST]
