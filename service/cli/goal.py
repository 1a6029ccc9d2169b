"""`seedstream goal`: say what a run is and what is wanted of it, and leave the work to its workers."""

import anyio
import typer

from service.billing.totals import plain
from service.bootstrap.open_broker import open_log
from service.cli import options
from service.messaging.messages import GoalSet
from service.run.goals import asked_goal, begin, look
from service.settings import Settings


def goal(
    broker: options.Broker = None,
    run: options.Run = None,
    recipe: options.Recipe = None,
    form: options.Form = None,
    semantic: options.Semantic = None,
    semantic_threshold: options.SemanticThreshold = None,
    seeds: options.Seeds = None,
    templates: options.Templates = None,
    target: options.Target = None,
    max_prompts: options.MaxPrompts = None,
    budget: options.Budget = None,
    max_marginal_cost: options.MaxMarginalCost = None,
    rpm: options.Rpm = None,
    tpm: options.Tpm = None,
    max_in_flight: options.MaxInFlight = None,
    lm_api: options.LmApi = None,
    seed: options.Seed = None,
) -> None:
    """Define a run, if it is new, and set how many finished tasks are wanted; its workers do the rest.

    A limit that is not given stays as it was; 0 lifts it. A budget needs workers that know prices.

    Exit codes: 0 it is written; 1 the log cannot be used; 2 a setting is wrong, or the run is another one.
    """
    anyio.run(_set, options.settings_from(**locals()))


async def _set(settings: Settings) -> None:
    async with open_log(settings) as broker:
        progress = await look(broker, settings)
        wanted = asked_goal(progress.goal, settings)
        definition = await begin(broker, settings, progress, wanted)
        typer.echo(
            f"run {settings.run!r} ({definition.recipe.title}): {wanted.target} finished tasks are wanted, "
            f"{progress.finished} are there{limits_in_words(wanted)}",
            err=True,
        )


def limits_in_words(goal: GoalSet) -> str:
    """Return the limits of a goal, behind a semicolon; nothing where it has none."""
    limits = {
        "{} prompts": goal.max_prompts,
        "a budget of ${}": goal.budget_usd,
        "${} for each of the last 1,000 accepted": goal.max_marginal_cost_usd,
        "{} calls a minute": goal.rpm,
        "{} tokens a minute": goal.tpm,
        "{} calls in flight": goal.max_in_flight,
    }
    said = ", ".join(words.format(plain(limit)) for words, limit in limits.items() if limit is not None)
    return f"; at most {said}" if said else ""
