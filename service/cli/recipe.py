"""`seedstream recipe`: print a recipe as a file, and the knobs in which two recipes differ."""

from typing import Annotated, Any

import anyio
import typer

from service.cli import options

app = typer.Typer(help="The recipe of a run.", no_args_is_help=True, rich_markup_mode=None)
_Which = Annotated[str, typer.Argument(help="self-instruct, alpaca, a file ending in .toml, or a run.", metavar="A")]
_Other = Annotated[str, typer.Argument(help="The other recipe.", metavar="B")]
_Form = Annotated[str | None, typer.Option("--form", help="Form of the prompts: text, json or auto.", metavar="FORM")]


@app.command()
@options.expand_groups
def show(
    recipe: options.RecipeOrFile = None,
    language: options.LanguageOfFilters = None,
    form: _Form = None,
    lm_api: options.LmApi = None,
    *,
    run: options.RunOptions,
) -> None:
    """Print the recipe of the settings, or with --run that of a run, as a complete recipe file."""
    from service.cli.recipes import described, recipe_of_run  # noqa: PLC0415 - `--help` needs none of it
    from service.run.definition import AskedRun  # noqa: PLC0415

    settings = options.settings_from(run, recipe=recipe, language=language, form=form, lm_api=lm_api)
    found = AskedRun(settings).new_recipe if run.run is None else anyio.run(recipe_of_run, settings)
    typer.echo(described(found), nl=False)


@app.command()
@options.expand_groups
def diff(
    one: _Which,
    other: _Other,
    form: _Form = None,
    lm_api: options.LmApi = None,
    broker: Annotated[str | None, typer.Option("--broker", help="Location of the log.", metavar="LOG")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Print the knobs in which two recipes differ: published ones, files or runs.

    A published recipe or a file has the form of the run, if the other one is a run.
    """
    from service.cli.recipes import compared, differences, in_words  # noqa: PLC0415 - `--help` needs none of it

    settings = options.settings_from(broker=broker, form=form, lm_api=lm_api)
    found: dict[str, Any] = differences(*compared(settings, one, other))
    if as_json:
        options.print_json(found)
        return
    for line in in_words(found):
        typer.echo(line)
    if not found:
        typer.echo("no difference", err=True)
