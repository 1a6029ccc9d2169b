"""Seed tasks of a run: new ones in a request, and those of the pool with what came of them."""

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated

import msgspec
from aiohttp import web
from anyio import to_thread
from msgspec import Meta, Struct

from service.dataset.seeds import parse_seeds
from service.selfinstruct.tasks import SeedTask
from service.web.keys import RUNS
from service.web.reading import body_of
from service.web.refusals import NOT_BLANK

_WHERE = "request"
_SHOWN_OF_DIGEST = 12
# A text that has something to read in it.
Text = Annotated[str, Meta(pattern=NOT_BLANK, max_length=20_000)]
LongText = Annotated[str, Meta(max_length=20_000)]
Name = Annotated[str, Meta(pattern=NOT_BLANK, max_length=100)]


class NewInstance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One input and output of a seed task; the input may be empty."""

    input: LongText = ""
    output: LongText


class NewSeed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A seed task, as in a file of seeds; without an `id` it gets one that derives from its content."""

    instruction: Text
    instances: Annotated[tuple[NewInstance, ...], Meta(min_length=1, max_length=20)]
    id: Name | None = None
    name: Annotated[str, Meta(max_length=1_000)] = ""
    is_classification: bool | None = None


class SeedOutcome(Struct, frozen=True, kw_only=True):
    """The ids of the seed tasks that are on their way into the pool; those that the run has already are left out."""

    added: tuple[str, ...]


async def add_seed(request: web.Request) -> SeedOutcome:
    """Submit a seed task."""
    asked = await body_of(request, NewSeed)
    live = await request.app[RUNS].of(request.match_info["run"])
    seeds = await to_thread.run_sync(seed_tasks, [asked])
    return SeedOutcome(added=tuple(seed.id for seed in await live.steering.add_seeds(seeds)))


def seed_tasks(asked: Sequence[NewSeed]) -> tuple[SeedTask, ...]:
    """Return the seed tasks that a request has, after the checks of a file of seeds.

    Raises:
        SeedTaskError: one is too long, or two have the same id.
    """
    return parse_seeds("\n".join(json.dumps(_fields(seed)) for seed in asked), _WHERE)


def _fields(seed: NewSeed) -> dict[str, object]:
    """Return a seed task as in a file; an id that is missing derives from the content, as that of an Alpaca task."""
    texts = [seed.instruction, *(text for each in seed.instances for text in (each.input, each.output))]
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:_SHOWN_OF_DIGEST]
    given: dict[str, object] = msgspec.to_builtins(seed)
    return {"id": f"seed_{digest}"} | given
