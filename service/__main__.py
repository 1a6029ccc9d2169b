"""The command line: `seedstream …`, or `python -m service …`."""

import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Annotated

import typer

from service.commands.run import run
from service.errors import SeedstreamError

app = typer.Typer(
    name="seedstream",
    help="Self-Instruct as a stream: a handful of seed tasks becomes an instruction-tuning set.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(run)


@app.callback()
def seedstream(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,  # noqa: FBT002
) -> None:
    """Self-Instruct as a stream: a handful of seed tasks becomes an instruction-tuning set."""
    if version:
        typer.echo(metadata.version("seedstream"))
        raise typer.Exit


def main() -> None:
    """Run the command line; an error that Seedstream knows is one message and its exit code, without a traceback."""
    try:
        app()
    except* SeedstreamError as group:
        first = next(_leaves(group))
        typer.echo(f"seedstream: {first}", err=True)
        sys.exit(getattr(first, "exit_code", 1))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


if __name__ == "__main__":
    main()
