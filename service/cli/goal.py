"""`seedstream goal`: define a run and set its target and limits; workers do the work."""

from typing import Annotated

import anyio
import typer
from msgspec import structs

from service.billing.totals import plain
from service.bootstrap.open_broker import open_log
from service.cli import options
from service.cli.terminal_text import clean
from service.dataset.run_warnings import run_warnings
from service.messaging.messages import GoalSet, StageLimits
from service.pipeline.role import CALLING, SINGLE, Role
from service.run.definition import AskedRun
from service.run.goals import asked_goal, begin, check_pause, look
from service.selfinstruct.recipe import Recipe
from service.settings import Settings

Pause = Annotated[bool | None, typer.Option("--pause/--resume", help="Begin no call, or begin calls again.")]


@options.expand_groups
def goal(
    run: options.RunOptions,
    recipe: options.RecipeOptions,
    goal: options.GoalOptions,
    lm_api: options.LmApi = None,
    seed: options.Seed = None,
    pause: Pause = None,
) -> None:
    """Define a run, if it is new, and set its target and limits; its workers do the rest.

    A limit that is not given stays unchanged; 0 removes it. For a budget, the workers need prices. With --pause no call
    begins until --resume; calls in flight are finished.

    Exit codes: 0 the goal is written; 1 the log cannot be used; 2 a setting is wrong, or differs from the existing run.
    """
    asked = AskedRun(options.settings_from(run, recipe, goal, lm_api=lm_api, seed=seed))
    if not asked.settings.on_kafka and not asked.settings.sqlite_file.exists():
        _ = asked.new  # raises if it cannot be, before there is a file
    anyio.run(_set, asked, pause)


async def _set(asked: AskedRun, pause: bool | None) -> None:
    settings = asked.settings
    async with open_log(settings) as broker:
        progress = await look(broker, asked)
        wanted = asked_goal(progress.goal, settings)
        if pause is not None:
            wanted = structs.replace(wanted, paused=pause)
            check_pause(progress, wanted)
        definition = await begin(broker, asked, progress, wanted)
        if progress.defined is None:
            for warning in run_warnings(definition.recipe, definition.templates, asked.new.seeds):
                typer.echo(f"beware: {clean(warning)}", err=True)
        name = f"new run {settings.run!r}" if progress.defined is None else f"run {settings.run!r}"
        typer.echo(
            f"{name} ({definition.recipe.title}): target {wanted.target} finished tasks, "
            f"{progress.finished} finished so far{limits_in_words(wanted)}",
            err=True,
        )
        typer.echo(next_step(settings, definition.recipe, wanted, progress.finished), err=True)


def next_step(settings: Settings, recipe: Recipe, goal: GoalSet, finished: int) -> str:
    """Return whose work the goal is, or that there is none."""
    if finished >= goal.target:
        return f"nothing is left to do; a target above {finished} continues the run"
    if goal.paused:
        return f"it is paused: no call begins until `seedstream goal --run {settings.run} --resume`"
    if not settings.on_kafka:
        return f"nobody works on it yet: `seedstream run --run {settings.run}` does"
    calling = CALLING if recipe.has_classification_step else {Role.GENERATE}
    roles = ", ".join(role for role in Role if role in calling or role in SINGLE)
    return f"it needs a process for each of the roles {roles}; `seedstream status` names those at work"


def limits_in_words(goal: GoalSet) -> str:
    """Return the limits of a goal after a semicolon, or an empty string without limits."""
    limits = {
        "{} prompts": goal.max_prompts,
        "a budget of ${}": goal.budget_usd,
        "${} for each of the last 1,000 accepted": goal.max_marginal_cost_usd,
        "{} calls a minute": goal.rpm,
        "{} tokens a minute": goal.tpm,
        "{} calls in flight": goal.max_in_flight,
    }
    said = ", ".join(words.format(plain(limit)) for words, limit in limits.items() if limit is not None)
    of_stages = "".join(f"; {step}: {_stage_limits(own)}" for step, own in sorted((goal.stages or {}).items()))
    return (f"; at most {said}" if said else "") + of_stages


def _stage_limits(limits: StageLimits) -> str:
    """Return the limits of a stage's model, which take the place of the run's."""
    words = {"rpm": "calls a minute", "tpm": "tokens a minute", "max_in_flight": "calls in flight"}
    return ", ".join(
        f"at most {plain(limit)} {words[name]}" if limit else f"any number of {words[name]}"
        for name, limit in limits.named.items()
    )
