"""Makes a new run of what is whole of a damaged one: everything paid, in the old order, numbered anew without gaps.

The record of a later step tells what the earlier ones said, so one that is lost in between is made again from it. What
cannot be made again is left out together with what depends on it: a prompt without a decision may be asked again, but
no answer that is whole is paid for twice.
"""

import anyio
from anyio import to_thread
from msgspec import structs

from consumers.admit import Admit
from consumers.finish import Finish
from service.bootstrap.open_embedder import embedder_for
from service.dataset.seed_ids import with_own_ids
from service.dataset.seeds import seeds_digest
from service.messaging import topics
from service.messaging.broker import Broker, Partition
from service.messaging.messages import (
    GoalSet,
    Message,
    RunDefined,
)
from service.messaging.topic_reader import Tail
from service.messaging.topics import Topic
from service.pipeline.copied_offsets import commit_beginnings
from service.pipeline.salvaged import Salvaged
from service.pipeline.salvaged_copy import SalvagedCopy
from service.run.create import define_run
from service.run.definition import AskedRun
from service.run.progress import Progress
from service.run.progress_reader import read_progress
from service.runtime.transactional_worker import TransactionalWorker
from service.selfinstruct.tasks import SeedTask

_ORDER: tuple[Topic[Message], ...] = (
    topics.CONTROL,
    topics.POOL,
    topics.DECISIONS,
    topics.INSTRUCTIONS,
    topics.CLASSIFIED,
    topics.INSTANCES,
    topics.TASKS,
    topics.CANDIDATES,
)


async def salvage_into(source: Broker, target: Broker, into: str, asked: AskedRun) -> tuple[Progress, Salvaged]:
    """Write a new run from the whole records of the asked one; return its progress, and what was found of the old one.

    `asked` replaces a lost definition, if the tasks were made by its recipe and templates, and lost seeds, if they are
    those of the run. Without a definition the new run has finished tasks only: it can be exported and not continued.
    """
    run = asked.settings.run
    found = await _read(source, asked)
    copy = SalvagedCopy(source, run, target, into, found)
    if found.definition is None:
        await copy.send(copy.renumbered_tasks())
    else:
        await copy.all()
        seeds = await to_thread.run_sync(_lost_seeds, found.definition, found.seeds, asked)
        definition = structs.replace(found.definition, run=into, seed_count=len(found.seeds) + len(seeds))
        goal = structs.replace(found.goal or GoalSet(run=into, target=found.tasks_before), run=into)
        await define_run(target, definition, goal, seeds)
        admit = Admit(definition.recipe, embedder=embedder_for(definition.recipe))
        drained = anyio.Event()
        drained.set()
        await TransactionalWorker(admit, target, into).run(drained, anyio.Event())
        await TransactionalWorker(Finish(into, lambda: goal.target), target, into).run(drained, anyio.Event())
        await commit_beginnings(target, into)
    return await read_progress(target, into), found


async def _read(source: Broker, asked: AskedRun) -> Salvaged:
    instances = topics.INSTANCES.of(asked.settings.run)
    found = Salvaged()
    found.queues = {Partition(instances, number): [] for number in range(await source.partitions(instances))}
    for topic in _ORDER:
        async with Tail.of(source, asked.settings.run, [topic]) as tail:
            async for partition, message in tail.placed_to_end():
                found.apply(message, partition)
            found.unreadable += tail.unreadable
        if topic is topics.POOL and found.definition is None:
            found.definition = await to_thread.run_sync(_fitting, asked, found.made_by)
    found.settle()
    return found


def _fitting(asked: AskedRun, made_by: set[tuple[str, str]]) -> RunDefined | None:
    """Return the definition of the asked run if all tasks were made by its recipe and its templates."""
    definition = asked.new.definition
    return definition if made_by <= {(definition.recipe.digest, definition.templates.digest)} else None


def _lost_seeds(definition: RunDefined, kept: set[str], asked: AskedRun) -> list[SeedTask]:
    """Return the seeds that the run had and that are lost; none if the asked ones are not its seeds."""
    if seeds_digest(asked.seeds) != definition.seeds:
        return []
    return [
        own for seed, own in zip(asked.seeds, with_own_ids(asked.seeds), strict=True) if not {seed.id, own.id} & kept
    ]
