"""Ids of seed tasks in a run: none may look like the id of a prompt (p17), or of a candidate or task (p17.3)."""

import re
from collections.abc import Sequence
from dataclasses import replace

from service.selfinstruct.tasks import SeedTask

_GENERATED = re.compile(r"p\d+(\.\d+)?")
_PREFIX = "seed_"


def own_id(name: str) -> str:
    """Return the id that a seed task gets in a run: one like those of generated tasks gets the prefix `seed_`.

    A file that was exported from another run has such ids, and this run will generate tasks with the same ones.
    """
    return f"{_PREFIX}{name}" if _GENERATED.fullmatch(name) else name


def is_own_id(name: str) -> bool:
    """Return whether an id consists of the prefix and an id like those of generated tasks."""
    return name.startswith(_PREFIX) and _GENERATED.fullmatch(name.removeprefix(_PREFIX)) is not None


def with_own_ids(seeds: Sequence[SeedTask]) -> tuple[SeedTask, ...]:
    """Return the seed tasks with the ids that they get in a run."""
    return tuple(replace(seed, id=own_id(seed.id)) for seed in seeds)
