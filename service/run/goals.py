"""Creates a run on its log, and sets its goal."""

from collections.abc import Sequence

from msgspec import structs

from service.checkpoints import Checkpoints
from service.errors import ConfigurationError
from service.messaging import codec, topics
from service.messaging.broker import Broker
from service.messaging.messages import Ending, GivenPrice, GoalSet, RunDefined, RunEnded, StageLimits
from service.messaging.topic_reader import Tail, replay
from service.run.create import define_run, identify_topics
from service.run.definition import AskedRun, check_same
from service.run.progress import Progress
from service.run.progress_reader import MANY, PROGRESS, ProgressReader
from service.selfinstruct.steps import Step
from service.settings import TOML_FILE, Settings

_LOOKED_AT = (topics.CONTROL, topics.TASKS)


async def look(broker: Broker, asked: AskedRun) -> Progress:
    """Return the run's definition, goal and finished tasks, after a check against the settings; writes nothing.

    Raises:
        RunMismatchError: the run exists with another recipe, other seeds or other templates.
        ConfigurationError: the run does not exist, and the settings cannot create it or its log is not empty.
    """
    run = asked.settings.run
    progress = await _counted_from_checkpoint(broker, asked.settings)
    if progress is None:
        progress = Progress()
        await replay(broker, run, _LOOKED_AT, progress.apply)
    if progress.defined is not None:
        check_same(progress.defined, asked)
    else:
        _ = asked.new  # raises if the run cannot be created
        await check_untouched(broker, run)
    return progress


async def _counted_from_checkpoint(broker: Broker, settings: Settings) -> Progress | None:
    """Return the progress of a run by its checkpoint and the rest of its log; `None` without one.

    Records that cannot be read are left to the caller.
    """
    checkpoints = Checkpoints(settings.state_folder)
    if not await checkpoints.has(PROGRESS):
        return None
    async with ProgressReader.open(broker, settings.run, checkpoints) as reader:
        if not reader.is_restored:
            return None
        await reader.catch_up()
        await reader.save(MANY)
    return None if any(topic.name in reader.progress.unread for topic in _LOOKED_AT) else reader.progress


async def check_untouched(broker: Broker, run: str) -> None:
    """Raise unless the log of a run without a definition has no prompts.

    Raises:
        ConfigurationError: the log has prompts, because `refilter --into` was interrupted while it copied them.
    """
    async with Tail.of(broker, run, [topics.PROMPTS]) as tail:
        async for _ in tail.messages_to_end():
            raise ConfigurationError(
                f"expected nothing of a new run {run!r} on the log, and there are prompts: `refilter --into {run}` "
                "was interrupted; choose another name, or remove the run's file or topics"
            )


async def begin(broker: Broker, asked: AskedRun, progress: Progress, goal: GoalSet) -> RunDefined:
    """Create a new run, or write the goal of a run that has ended or gets another goal; return its definition."""
    if progress.defined is None:
        definition, seeds = asked.new
        await define_run(broker, definition, goal, seeds)
        return definition
    if goal != progress.goal or progress.ended is not None:
        # A run that an earlier version defined has no ids of topics yet.
        ids = await identify_topics(broker, asked.settings.run) if progress.topic_ids is None else []
        async with broker.producer() as producer:
            await producer.send([codec.encode(message, asked.settings.run) for message in (goal, *ids)])
    return progress.defined


def asked_goal(before: GoalSet | None, settings: Settings) -> GoalSet:
    """Return the new goal: settings not given keep their value from `before`, and a limit of 0 is removed."""
    asked = GoalSet(
        run=settings.run,
        target=settings.target,
        max_prompts=settings.max_prompts,
        budget_usd=settings.budget or None,
        max_marginal_cost_usd=settings.max_marginal_cost or None,
        rpm=settings.rpm or None,
        tpm=settings.tpm or None,
        max_in_flight=settings.max_in_flight or None,
        price=_given_price(settings),
        stages=_stage_limits(before, settings),
    )
    if before is None:
        return asked
    fields = {"budget": "budget_usd", "max_marginal_cost": "max_marginal_cost_usd"}
    names = ("target", "max_prompts", "budget", "max_marginal_cost", "rpm", "tpm", "max_in_flight")
    unasked = ["paused", *(fields.get(name, name) for name in names if name not in settings.model_fields_set)]
    if asked.price is None:
        unasked.append("price")
    return structs.replace(asked, **{name: getattr(before, name) for name in unasked})


def check_pause(progress: Progress, goal: GoalSet) -> None:
    """Raise if a goal pauses a run that has nothing to do under it.

    Raises:
        ConfigurationError: the run has ended or reached the target, so that no call is made anyway.
    """
    if goal.paused and progress.finished >= goal.target:
        raise ConfigurationError(
            f"expected a run with work to pause, got one that has reached its target of {goal.target} tasks"
        )
    if goal.paused and progress.ended is not None and goal.target == progress.target:
        raise ConfigurationError(f"expected a run with work to pause, got one that has ended: {progress.ended.detail}")


def _stage_limits(before: GoalSet | None, settings: Settings) -> dict[str, StageLimits] | None:
    """Return the limits of single stages: those of `before`, changed by those in the tables of the settings."""
    limits = dict((before.stages if before is not None else None) or {})
    for step, table in settings.stages.items():
        asked = {"rpm": table.rpm, "tpm": table.tpm, "max_in_flight": table.max_in_flight}
        if given := {name: limit for name, limit in asked.items() if limit is not None}:
            limits[step.value] = structs.replace(limits.get(step.value, StageLimits()), **given)
    return limits or None


def _given_price(settings: Settings) -> GivenPrice | None:
    if settings.price_prompt is None or settings.price_completion is None:
        return None
    return GivenPrice(model=settings.model, prompt=settings.price_prompt, completion=settings.price_completion)


def priced_as_before(settings: Settings, goal: GoalSet) -> Settings:
    """Return the settings with the price that was last given for the same model, if they have none of their own."""
    price = goal.price
    if price is None or price.model != settings.model or settings.price_prompt is not None:
        return settings
    if settings.prices is not None and (price.model is None or price.model in settings.prices.models):
        return settings
    return settings.model_copy(update={"price_prompt": price.prompt, "price_completion": price.completion})


def spent_already(progress: Progress, goal: GoalSet) -> RunEnded | None:
    """Return the run's end if its budget is spent and the goal is unchanged, so that there is nothing to start."""
    ended = progress.ended
    return ended if ended is not None and ended.ending is Ending.BUDGET_SPENT and goal == progress.goal else None


def check_budget(goal: GoalSet, settings: Settings, asked: str, tables: Sequence[Step] = ()) -> None:
    """Raise unless model `asked` has a price in the settings of its stages or the goal has no limit in dollars.

    `tables` are the steps whose tables name the model, if it is not the run's.

    Raises:
        ConfigurationError: the goal has a limit in dollars, and the model has no price.
    """
    if goal.budget_usd is None and goal.max_marginal_cost_usd is None:
        return
    table = settings.prices_for(asked)
    if table is None or asked not in table.models:
        there = ", ".join(table.models) if table is not None else ""
        named = " and ".join(f"[stages.{step}]" for step in tables)
        how = f"price_prompt and price_completion in {named}" if tables else "--price-prompt and --price-completion"
        raise ConfigurationError(
            f"a budget needs prices: expected one for model {asked!r}, got {there or 'none'}; give it with {how}, or "
            f'as [prices.models."{asked}"] in {TOML_FILE}'
        )
