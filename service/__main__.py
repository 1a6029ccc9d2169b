"""The command line: `seedstream …` or `python -m service …`."""

import io
import os
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from service.cli.garbage import collect_rarely, spare_what_exists
from service.cli.lazy_command import add_lazy
from service.cli.usage_errors import PlainErrors
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
# The first sentence of the help of each command, and of each group of commands.
_SUMMARIES = {
    "run": "Run the whole pipeline until exactly N tasks are finished; run it again to continue.",
    "worker": "Work on a run together with others: producer, generate, classify, instances, screen, admit, finish.",
    "goal": "Define a run, if it is new, and set its target and limits; its workers do the rest.",
    "check": "Test seeds, templates, the log and the model's server, and make one paid call of each step.",
    "preview": "Finish a few tasks and print them; nothing is stored, the calls are paid for.",
    "status": "Print the progress of a run: exact counts, rejections by reason, tokens and cost.",
    "watch": "Show a run live until it ends: a panel and each finished task; in a pipe, JSON Lines.",
    "web": "Serve page, streams and REST API of all runs of a log, until a signal stops it.",
    "cost": "Print the bill of a run: by stage, model and outcome, for each task, the forecast, the budget.",
    "explain": (
        "Explain a verdict: reason, nearest tasks and scores, parents, prompt, completions, model, versions, cost."
    ),
    "export": "Write finished tasks, or with --topic all records of a topic in order, to a file or to standard output.",
    "consume": (
        "Write finished tasks to standard output as they arrive, until --limit, --until-end or a signal stops it."
    ),
    "neighbours": (
        "Write a JSON line for each accepted task: the ten nearest earlier tasks with scores, and the mean score."
    ),
    "refilter": (
        "Judge all candidates of a run again and compare the counts; with --into, write the result to a new run."
    ),
    "replay": "Put dead letters back into their topics, each exactly once; unreadable ones become dead letters again.",
    "salvage": "Copy what is whole of a damaged run on the embedded log to a new run, and list what is lost.",
    "config": "Print the settings in force and the source of each: flag, environment, seedstream.toml or default.",
    "simulator": "Serve the simulator until it is interrupted.",
    "recipe": "The recipe of a run.",
    "seeds": "The human-written tasks of a run.",
    "topics": "The topics of a run on Kafka.",
}
# The module of a command and the name in it, where they are not both that of the command.
_PLACES = {"watch": "status:watch", "recipe": "recipe:app", "seeds": "seeds:app", "topics": "topics:app"}

for _name, _summary in _SUMMARIES.items():
    add_lazy(app, _name, _summary, f"service.cli.{_PLACES.get(_name, f'{_name}:{_name}')}")


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer passes the value by position
    if wanted:
        from importlib import metadata  # noqa: PLC0415 - 10 ms that no other command needs

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
    collect_rarely()
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
    finally:
        spare_what_exists()


def _leaves(group: BaseExceptionGroup[SeedstreamError]) -> Iterator[SeedstreamError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


if __name__ == "__main__":
    main()
