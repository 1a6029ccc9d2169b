"""Giving a run its definition and its goal, once and again."""

from producers.seeds import define_run
from service import codec, topics
from service.broker import Broker
from service.definition import check_same, define
from service.messages import GoalSet, RunDefined
from service.progress import Progress
from service.replay import replay
from service.settings import Settings


async def look(broker: Broker, settings: Settings) -> Progress:
    """Return what the run is and how far it has got, if it has begun; changes nothing.

    Raises:
        RunMismatchError: the run exists with another recipe, other seeds or other templates than asked for.
        ConfigurationError: it does not exist, and cannot with what is asked for.
    """
    progress = Progress()
    await replay(broker, settings.run, (topics.CONTROL, topics.TASKS), progress.apply)
    if progress.defined is not None:
        check_same(progress.defined, settings)
    else:
        define(settings)
    return progress


async def begin(broker: Broker, settings: Settings, progress: Progress, goal: GoalSet) -> RunDefined:
    """Write what the run is, if it is new, or what is wanted of it now; returns what it is."""
    if progress.defined is None:
        definition, seeds = define(settings)
        await define_run(broker, definition, goal, seeds)
        return definition
    if goal != progress.goal or progress.ended is not None:
        async with broker.producer() as producer:
            await producer.send([codec.encode(goal, settings.run)])
    return progress.defined


def asked_goal(before: GoalSet | None, settings: Settings) -> GoalSet:
    """Return the goal asked for; what was not asked for stays as it was."""
    asked = GoalSet(run=settings.run, target=settings.target, max_prompts=settings.max_prompts)
    if before is None:
        return asked
    kept = {name: getattr(before, name) for name in ("target", "max_prompts") if name not in settings.model_fields_set}
    return asked.model_copy(update=kept)
