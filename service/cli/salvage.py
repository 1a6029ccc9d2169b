"""`seedstream salvage`: what is whole of a damaged run, as a new run."""

from collections.abc import Sequence
from typing import Annotated, Any

import anyio
import typer

from service.bootstrap.open_damaged import Lost, open_damaged
from service.cli import options
from service.cli.signals import say
from service.errors import ConfigurationError
from service.pipeline.salvage import salvage_into
from service.pipeline.salvaged import Salvaged
from service.run.definition import AskedRun
from service.settings import Settings, load_settings

_SHOWN = 20


@options.expand_groups
def salvage(
    *,
    run: options.RunOptions,
    into: Annotated[str, typer.Option("--into", help="Name of the new run.", metavar="NAME")],
    recipe: options.RecipeOptions,
    model: options.ModelOptions,
    seed: options.Seed = None,
    as_json: options.AsJson = False,
) -> None:
    """Copy what is whole of a damaged run on the embedded log to a new run, and list what is lost.

    The damaged run is not changed. The new run has every task and every answer that is whole, numbered anew; export it,
    or continue it with `seedstream run`. Options of the run that were given when it began, such as --recipe and
    --seeds, are needed here only if its definition or seed tasks are among what is lost.

    Exit codes: 0 nothing is lost; 1 something is lost, or nothing is whole; 2 a setting is wrong, the run does not
    exist, or the new one exists.
    """
    settings = options.settings_from(run, recipe, model, seed=seed)
    try:
        place = load_settings({"broker": settings.broker, "run": into})
    except ConfigurationError as error:
        raise ConfigurationError(f"--into: {error}") from error
    facts = anyio.run(_salvage, settings, place)
    if as_json:
        options.print_json(facts)
    else:
        for each in facts["lost"]:
            to = f"to {each['last']}" if each["last"] is not None else "and behind, if there were any"
            typer.echo(f"lost: {each['topic']}/{each['partition']}, offsets {each['first']} {to}")
    if facts["run"] != settings.run:
        say(f"{settings.sqlite_file} holds run {facts['run']!r}, which was salvaged")
    _tell(facts)
    if facts["lost"] or facts["unreadable"] or not facts["defined"]:
        raise typer.Exit(1)


async def _salvage(settings: Settings, into: Settings) -> dict[str, Any]:
    async with open_damaged(settings, into) as (source, target, lost, run):
        asked = AskedRun(settings.model_copy(update={"run": run}))
        progress, found = await salvage_into(source, target, into.run, asked)
    return {
        "run": run,
        "into": into.run,
        "defined": progress.defined is not None,
        "finished": progress.finished,
        "finished_before": found.tasks_before,
        "came_back": found.came_back,
        "finished_anew": progress.finished - found.came_back,
        "lost_tasks": _lost_tasks(found),
        "pool": {"size": progress.pool, "human": progress.seeds, "machine": progress.pool - progress.seeds},
        "prompts": progress.prompts,
        "pending": progress.pending,
        "unreadable": found.unreadable,
        "lost": _facts(lost),
    }


def _facts(lost: Sequence[Lost]) -> list[dict[str, Any]]:
    return [
        {"topic": each.partition.topic, "partition": each.partition.number, "first": each.first, "last": each.last}
        for each in lost
    ]


def _lost_tasks(found: Salvaged) -> dict[str, Any]:
    """Return how many finished tasks are lost (at most, if not `exact`), and among which ids and numbers they are."""
    count = found.tasks_before - found.came_back
    return {
        "count": count,
        "exact": found.is_exact,
        "among": found.maybe_lost if count else [],
        "numbers": found.lost_numbers if count else [],
    }


def _tell(facts: dict[str, Any]) -> None:
    """Print what the new run holds, and what it is good for."""
    say(f"run {facts['into']!r} has {facts['pool']['size']} tasks in its pool, {facts['finished']} of them finished")
    least = "" if facts["lost_tasks"]["exact"] else "at least "
    say(f"{least}{facts['came_back']} of at least {facts['finished_before']} finished tasks came back{_anew(facts)}")
    if facts["lost_tasks"]["count"]:
        say(_about_lost(**facts["lost_tasks"]))
    if facts["pending"]:
        say(f"accepted and not finished: {facts['pending']}; a larger target finishes them")
    if facts["unreadable"]:
        say(f"{facts['unreadable']} records could not be read and were left out")
    say(f"`seedstream export --run {facts['into']}` writes its tasks")
    if facts["defined"]:
        say(f"`seedstream run --run {facts['into']}` continues it")
    else:
        say(
            "its definition is lost, so it cannot be continued; salvage again, into another run, with the options that "
            "the run began with (--recipe, --form, --seeds, --templates, --about, --lm, --seed) to make that possible"
        )


def _anew(facts: dict[str, Any]) -> str:
    count = facts["finished_anew"]
    if not count:
        return ""
    were = "was" if count == 1 else "were"
    return f"; {count} more that {were} on the way {were} finished"


def _about_lost(count: int, *, exact: bool, among: Sequence[str], numbers: Sequence[int]) -> str:
    """Return how many finished tasks are lost, and their ids or numbers as far as they are known."""
    told = "1 finished task is lost" if count == 1 else f"{count} finished tasks are lost"
    told = told if exact else f"at most {told}"
    if len(among) == count:
        return f"{told}: {_listed(among)}"
    if len(among) > count:
        return f"{told}, among {_listed(among)}"
    return f"{told}{'' if len(numbers) == count else ', among those'} with the numbers {_listed(numbers)}"


def _listed(names: Sequence[str | int]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(map(str, names[:_SHOWN])) + (f" and {more} more" if more > 0 else "")
