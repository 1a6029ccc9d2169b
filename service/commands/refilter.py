"""`seedstream refilter`: a run's candidates judged again with another recipe, without a call to the model."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.table import Table

from service.commands import options
from service.errors import ConfigurationError, RunNotFoundError
from service.inspection import open_existing, read_progress
from service.logs import open_log
from service.messages import GoalSet
from service.progress import Progress
from service.refiltering import judge_again, refilter_into
from service.selfinstruct.recipe import Recipe
from service.settings import Settings, load_settings


def refilter(
    threshold: Annotated[
        float | None, typer.Option("--threshold", min=0.0, max=1.0, help="Reject ROUGE-L above this.")
    ] = None,
    min_words: Annotated[int | None, typer.Option("--min-words", min=1, help="Reject shorter instructions.")] = None,
    max_words: Annotated[int | None, typer.Option("--max-words", min=1, help="Reject longer instructions.")] = None,
    block: Annotated[list[str] | None, typer.Option("--block", help="Block this word too; may be repeated.")] = None,
    into: Annotated[
        str | None, typer.Option("--into", help="Make a new run of what is accepted.", metavar="NAME")
    ] = None,
    broker: options.Broker = None,
    run: options.Run = None,
) -> None:
    """Judge all candidates of a run again; prints both verdicts side by side, and with --into makes a run of them."""
    settings = options.settings_from(broker=broker, run=run)

    if into is not None:
        _check_name(into)

    def change(recipe: Recipe) -> Recipe:
        old = recipe.filters
        filters = replace(
            old,
            rouge_threshold=old.rouge_threshold if threshold is None else threshold,
            min_words=old.min_words if min_words is None else min_words,
            max_words=old.max_words if max_words is None else max_words,
            blocked_words=tuple(dict.fromkeys((*old.blocked_words, *(block or ())))),
        )
        if filters.min_words > filters.max_words:
            raise ConfigurationError(
                f"expected fewer words at least than at most, got {filters.min_words} and {filters.max_words}"
            )
        return replace(recipe, filters=filters)

    before, after = anyio.run(_refilter, settings, change, into)
    Console().print(_comparison(before, after))
    if into is not None:
        typer.echo(f"run {into!r} holds what was accepted: `seedstream run --run {into}` goes on from there", err=True)


def _check_name(into: str) -> None:
    try:
        load_settings({"run": into})
    except ConfigurationError as error:
        raise ConfigurationError(f"--into: {error}") from error


async def _refilter(
    settings: Settings, change: Callable[[Recipe], Recipe], into: str | None
) -> tuple[Progress, Progress]:
    async with open_existing(settings) as source:
        before = await read_progress(source, settings.run)
        if before.defined is None:
            raise RunNotFoundError(f"run {settings.run!r} was never defined; start it with `seedstream run` first")
        recipe = change(before.defined.recipe)
        if into is None:
            return before, await judge_again(source, settings.run, recipe)
        definition = before.defined.model_copy(update={"run": into, "recipe": recipe})
        goal = GoalSet(run=into, target=before.target, max_prompts=before.goal.max_prompts if before.goal else None)
        place = load_settings({"broker": settings.broker, "run": into})
        async with open_log(place) as target:
            return before, await refilter_into(source, settings.run, target, definition, goal)


def _comparison(before: Progress, after: Progress) -> Table:
    table = Table("", "as it was", "judged again")
    table.add_row("candidates", str(before.candidates), str(after.candidates))
    table.add_row("accepted", str(before.accepted), str(after.accepted))
    for reason in sorted(before.rejected.keys() | after.rejected.keys()):
        table.add_row(reason, str(before.rejected[reason]), str(after.rejected[reason]))
    return table
