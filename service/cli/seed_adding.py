"""Adds human-written tasks to a run, with warnings about them."""

import typer

from service.bootstrap.open_broker import open_log
from service.bootstrap.open_run import open_existing
from service.cli.terminal_text import clean
from service.dataset.seed_ids import with_own_ids
from service.dataset.seed_warnings import seed_warnings
from service.pipeline.seed_adding import KnownTasks, add_to_pool
from service.selfinstruct.tasks import SeedTask
from service.settings import Settings


def outcome(added: int, there: int) -> str:
    """Return how many seed tasks were added, and how many the run had."""
    tasks = "1 seed task" if added == 1 else f"{added} seed tasks"
    return f"{tasks} added, {there} {'was' if there == 1 else 'were'} there already"


async def add_seeds(settings: Settings, seeds: tuple[SeedTask, ...]) -> int:
    """Add the seed tasks that the run does not have yet, and return their number."""
    async with open_existing(settings):
        pass
    async with open_log(settings) as broker:
        known = await KnownTasks.of(broker, settings.run)
        for warning in seed_warnings(known.definition.recipe, with_own_ids(seeds)):
            typer.echo(f"beware: {clean(warning)}", err=True)
        new = known.new_among(seeds)
        await add_to_pool(broker, known.definition, new, admits=settings.on_kafka)
        return len(new)
