"""Giving a run its definition and its goal, once and again."""

from collections.abc import Sequence

from service.errors import ConfigurationError
from service.messaging import codec, topics
from service.messaging.broker import Broker
from service.messaging.messages import Ending, GoalSet, RunDefined, RunEnded
from service.messaging.topic_reader import Tail, replay
from service.run.create import define_run
from service.run.definition import check_same, define
from service.run.progress import Progress
from service.selfinstruct.tasks import SeedTask
from service.settings import TOML_FILE, Settings


async def look(broker: Broker, settings: Settings) -> Progress:
    """Return what the run is and how far it has got, if it has begun; changes nothing.

    Raises:
        RunMismatchError: the run exists with another recipe, other seeds or other templates than asked for.
        ConfigurationError: it does not exist, and cannot with what is asked for, or its log is no new one.
    """
    progress = Progress()
    await replay(broker, settings.run, (topics.CONTROL, topics.TASKS), progress.apply)
    if progress.defined is not None:
        check_same(progress.defined, settings)
    else:
        define(settings)
        await check_untouched(broker, settings.run)
    return progress


async def check_untouched(broker: Broker, run: str) -> None:
    """Check that the log holds nothing of a run that is not defined yet.

    Raises:
        ConfigurationError: it holds prompts: `refilter --into` was broken off while it copied them.
    """
    async with Tail.of(broker, run, [topics.PROMPTS]) as tail:
        async for _ in tail.messages_to_end():
            raise ConfigurationError(
                f"expected nothing of a new run {run!r} on the log, and there are prompts: `refilter --into {run}` "
                "was broken off; choose another name, or remove the run's file or topics"
            )


async def begin(
    broker: Broker,
    settings: Settings,
    progress: Progress,
    goal: GoalSet,
    new: tuple[RunDefined, Sequence[SeedTask]] | None = None,
) -> RunDefined:
    """Write what the run is, if it is `new`, or what is wanted of it now; returns what it is."""
    if progress.defined is None:
        definition, seeds = new or define(settings)
        await define_run(broker, definition, goal, seeds)
        return definition
    if goal != progress.goal or progress.ended is not None:
        async with broker.producer() as producer:
            await producer.send([codec.encode(goal, settings.run)])
    return progress.defined


def asked_goal(before: GoalSet | None, settings: Settings) -> GoalSet:
    """Return the goal asked for; what was not asked for stays as it was, and a limit of 0 is none any more."""
    asked = GoalSet(
        run=settings.run,
        target=settings.target,
        max_prompts=settings.max_prompts,
        budget_usd=settings.budget or None,
        max_marginal_cost_usd=settings.max_marginal_cost or None,
        rpm=settings.rpm or None,
        tpm=settings.tpm or None,
        max_in_flight=settings.max_in_flight or None,
    )
    if before is None:
        return asked
    fields = {"budget": "budget_usd", "max_marginal_cost": "max_marginal_cost_usd"}
    names = ("target", "max_prompts", "budget", "max_marginal_cost", "rpm", "tpm", "max_in_flight")
    unasked = [fields.get(name, name) for name in names if name not in settings.model_fields_set]
    return asked.model_copy(update={name: getattr(before, name) for name in unasked})


def spent_already(progress: Progress, goal: GoalSet) -> RunEnded | None:
    """Return how the run ended, if that was for its budget and this goal has no other: there is nothing to begin."""
    ended = progress.ended
    return ended if ended is not None and ended.ending is Ending.BUDGET_SPENT and goal == progress.goal else None


def check_budget(goal: GoalSet, settings: Settings, asked: str) -> None:
    """Check that what calls to model `asked` cost will be known, where the goal has a limit in dollars.

    Raises:
        ConfigurationError: there is no price for that model.
    """
    if goal.budget_usd is None and goal.max_marginal_cost_usd is None:
        return
    table = settings.prices_for(asked)
    if table is None or asked not in table.models:
        there = ", ".join(table.models) if table is not None else ""
        raise ConfigurationError(
            f"a budget needs prices: expected one for model {asked!r}, got {there or 'none'}; give it with "
            f'--price-prompt and --price-completion, or as [prices.models."{asked}"] in {TOML_FILE}'
        )
