"""Adds human-written tasks to a run, and to its pool if no process of its own does."""

from collections.abc import Mapping, Sequence

import anyio
import typer

from producers.seeds import submit_seeds
from service.bootstrap.open_broker import open_log
from service.bootstrap.open_run import open_existing
from service.cli.terminal_text import clean
from service.dataset.seed_ids import with_own_ids
from service.dataset.seed_sizes import check_prompts_fit
from service.dataset.seed_warnings import seed_warnings
from service.errors import RunNotFoundError, SeedTaskError
from service.messaging import topics
from service.messaging.messages import Message, PooledTask
from service.messaging.topic_reader import replay
from service.pipeline.stages import admitting
from service.run.progress import Progress
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
        progress, known = Progress(), dict[str, SeedTask | None]()

        def remember(message: Message) -> None:
            progress.apply(message)
            if isinstance(message, PooledTask):
                known[message.id] = message.seed

        await replay(broker, settings.run, (topics.CONTROL, topics.POOL), remember)
        if progress.defined is None:
            raise RunNotFoundError(f"run {settings.run!r} was never defined; start it with `seedstream run` first")
        for warning in seed_warnings(progress.defined.recipe, with_own_ids(seeds)):
            typer.echo(f"beware: {clean(warning)}", err=True)
        new = unknown_seeds(seeds, known)
        had = [seed for seed in known.values() if seed is not None]
        check_prompts_fit(progress.defined.recipe, progress.defined.templates, [*had, *new])
        await submit_seeds(broker, settings.run, new)
        if not settings.on_kafka:  # on Kafka, the admit role of the run adds them to the pool
            drain = anyio.Event()
            drain.set()
            await admitting(broker, progress.defined).run(drain, anyio.Event())
        return len(new)


def unknown_seeds(seeds: Sequence[SeedTask], known: Mapping[str, SeedTask | None]) -> list[SeedTask]:
    """Return the seed tasks that the run does not have yet, with their ids in the run.

    A run of an earlier version may have them with ids like those of generated tasks.

    Raises:
        SeedTaskError: the run has a different task with the same id.
    """
    new = with_own_ids([seed for seed in seeds if known.get(seed.id) != seed])
    for seed in new:
        if seed.id in known and known[seed.id] != seed:
            raise SeedTaskError(
                f"seed task {seed.id!r}: the run has another task with this id; give the new task a different id"
            )
    return [seed for seed in new if seed.id not in known]
