"""Seed files: JSON Lines in the schema of Self-Instruct's `seed_tasks.jsonl`; extra fields are ignored."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from service.errors import SeedTaskError
from service.selfinstruct.tasks import Instance, SeedTask

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
OWN_SEEDS = "built-in"


class _InstanceLine(BaseModel):
    model_config = ConfigDict(strict=True)

    input: str
    output: str


class _SeedLine(BaseModel):
    model_config = ConfigDict(strict=True)

    id: _Text
    name: str = ""
    instruction: _Text
    instances: list[_InstanceLine]
    is_classification: bool


def load_seeds(path: Path | None) -> tuple[SeedTask, ...]:
    """Return the seed tasks of a file, or our own 175 where none is named.

    Raises:
        SeedTaskError: a line is no seed task (names file, line and field), an id comes twice, or there is none.
    """
    if path is None:
        text = resources.files("service").joinpath("resources/seed_tasks.jsonl").read_text("utf-8")
        return parse_seeds(text, OWN_SEEDS)
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SeedTaskError(f"{path}: expected a readable UTF-8 file of seed tasks: {error}") from error
    return parse_seeds(text, str(path))


def parse_seeds(text: str, where: str) -> tuple[SeedTask, ...]:
    """Return the seed tasks of a text in JSON Lines; `where` names it in errors."""
    seeds: dict[str, SeedTask] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        seed = _parse_line(line, f"{where}, line {number}")
        if seed.id in seeds:
            raise SeedTaskError(f"{where}, line {number}: id: expected a new id, and {seed.id!r} stands above already")
        seeds[seed.id] = seed
    if not seeds:
        raise SeedTaskError(f"{where}: expected at least one seed task, found none")
    return tuple(seeds.values())


def seeds_digest(seeds: Sequence[SeedTask]) -> str:
    """Return sixteen hexadecimal digits that change with any seed task or their order."""
    canonical = json.dumps([asdict(seed) for seed in seeds], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _parse_line(line: str, where: str) -> SeedTask:
    try:
        parsed = _SeedLine.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the line"
        raise SeedTaskError(f"{where}: {field}: {first['msg']}") from error
    if not parsed.instances:
        raise SeedTaskError(f"{where}: instances: expected at least one instance, got none")
    instances = tuple(Instance(instance.input, instance.output) for instance in parsed.instances)
    return SeedTask(parsed.id, parsed.name, parsed.instruction, instances, parsed.is_classification)
