"""`seedstream seeds add`: add human-written tasks to an existing run."""

from pathlib import Path
from typing import Annotated

import anyio
import typer

from service.cli import options

app = typer.Typer(help="The human-written tasks of a run.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
@options.expand_groups
def add(
    file: Annotated[Path, typer.Argument(help="File of seed tasks, JSON Lines or a JSON array.", metavar="FILE")],
    run: options.RunOptions,
) -> None:
    """Add the seed tasks of a file to the pool of a run; tasks that it already has are skipped."""
    from service.cli.seed_adding import add_seeds, outcome  # noqa: PLC0415 - `--help` needs none of it
    from service.dataset.seeds import load_seeds  # noqa: PLC0415

    settings = options.settings_from(run)
    seeds = load_seeds(file)
    added = anyio.run(add_seeds, settings, seeds)
    typer.echo(outcome(added, len(seeds) - added), err=True)
