"""The command line: `seedstream …` or `python -m service …`."""

import io
import os
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Annotated

import typer

from service.cli import seeds, topics
from service.cli.check import check
from service.cli.config import config
from service.cli.consume import consume
from service.cli.cost import cost
from service.cli.explain import explain
from service.cli.export import export
from service.cli.goal import goal
from service.cli.neighbours import neighbours
from service.cli.preview import preview
from service.cli.refilter import refilter
from service.cli.replay import replay
from service.cli.run import run
from service.cli.salvage import salvage
from service.cli.simulator import simulator
from service.cli.status import status, watch
from service.cli.usage_errors import PlainErrors
from service.cli.worker import worker
from service.errors import OutputClosedError, SeedstreamError

_EXIT_INTERRUPTED = 130
_SUMMARY = "Streaming Self-Instruct: generate an instruction-tuning data set from a few seed tasks."

app = typer.Typer(
    name="seedstream",
    cls=PlainErrors,
    help=_SUMMARY,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    run,
    worker,
    goal,
    check,
    preview,
    status,
    watch,
    cost,
    explain,
    export,
    consume,
    neighbours,
    refilter,
    replay,
    salvage,
    config,
    simulator,
):
    app.command()(command)
app.add_typer(seeds.app, name="seeds")
app.add_typer(topics.app, name="topics")


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer passes the value by position
    if wanted:
        typer.echo(metadata.version("seedstream"))
        raise typer.Exit


@app.callback(help=_SUMMARY)
def seedstream(
    _: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Take the options of `seedstream` itself."""


def main() -> None:
    """Run the command line; print an error of Seedstream as one line without a traceback, and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # prints ? for characters that the encoding lacks
    try:
        app()
    except* KeyboardInterrupt:
        sys.exit(_EXIT_INTERRUPTED)
    except* OutputClosedError as group:
        # Otherwise the interpreter flushes standard output at exit, and fails again.
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(next(_leaves(group)).exit_code)
    except* SeedstreamError as group:
        first = next(_leaves(group))
        typer.echo(f"seedstream: {first}", err=True)
        sys.exit(first.exit_code)


def _leaves(group: BaseExceptionGroup[SeedstreamError]) -> Iterator[SeedstreamError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


if __name__ == "__main__":
    main()
