"""Adds human-written tasks to a run, and to its pool if no process of its own does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anyio

from producers.seeds import submit_seeds
from service.dataset.seed_ids import with_own_ids
from service.dataset.seed_sizes import check_prompts_fit
from service.errors import RunNotFoundError, SeedIdTakenError
from service.messaging import topics
from service.messaging.broker import Broker
from service.messaging.messages import Message, PooledTask, RunDefined
from service.messaging.topic_reader import replay
from service.pipeline.stages import admitting
from service.run.progress import Progress
from service.selfinstruct.tasks import SeedTask


@dataclass(frozen=True, slots=True)
class KnownTasks:
    """The definition of a run, and the tasks of its pool by id: the seed task, or `None` for one of the model."""

    definition: RunDefined
    tasks: Mapping[str, SeedTask | None]

    @classmethod
    async def of(cls, broker: Broker, run: str) -> "KnownTasks":
        """Read them from the log.

        Raises:
            RunNotFoundError: the run was never defined.
        """
        progress, known = Progress(), dict[str, SeedTask | None]()

        def remember(message: Message) -> None:
            progress.apply(message)
            if isinstance(message, PooledTask):
                known[message.id] = message.seed

        await replay(broker, run, (topics.CONTROL, topics.POOL), remember)
        if progress.defined is None:
            raise RunNotFoundError(f"run {run!r} was never defined; start it with `seedstream run` first")
        return cls(progress.defined, known)

    def new_among(self, seeds: Sequence[SeedTask]) -> list[SeedTask]:
        """Return the seed tasks that the run does not have yet, with their ids in the run.

        Raises:
            SeedIdTakenError: the run has a different task with the same id.
            SeedTaskError: a prompt with the tasks would be too long.
        """
        new = unknown_seeds(seeds, self.tasks)
        had = [seed for seed in self.tasks.values() if seed is not None]
        check_prompts_fit(self.definition.recipe, self.definition.templates, [*had, *new])
        return new


async def add_to_pool(broker: Broker, definition: RunDefined, seeds: Sequence[SeedTask], *, admits: bool) -> None:
    """Submit seed tasks to a run; where no other process `admits` them, let them into the pool."""
    await submit_seeds(broker, definition.run, seeds)
    if not admits:
        drain = anyio.Event()
        drain.set()
        await admitting(broker, definition).run(drain, anyio.Event())


def unknown_seeds(seeds: Sequence[SeedTask], known: Mapping[str, SeedTask | None]) -> list[SeedTask]:
    """Return the seed tasks that the run does not have yet, with their ids in the run.

    A run of an earlier version may have them with ids like those of generated tasks.

    Raises:
        SeedIdTakenError: the run has a different task with the same id.
    """
    new = with_own_ids([seed for seed in seeds if known.get(seed.id) != seed])
    for seed in new:
        if seed.id in known and known[seed.id] != seed:
            raise SeedIdTakenError(
                f"seed task {seed.id!r}: the run has another task with this id; give the new task a different id"
            )
    return [seed for seed in new if seed.id not in known]
