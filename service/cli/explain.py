"""`seedstream explain ID`: all facts about a task, a candidate, a prompt or a seed."""

import sys
from functools import partial
from typing import Annotated, Any

import anyio
import orjson
import typer
from rich.console import Console
from rich.text import Text

from service.cli import options
from service.cli.reading import open_progress
from service.cli.terminal_text import clean, escaped
from service.run.lineage import gather
from service.settings import Settings

# The most earlier tasks with which an accepted one is compared unasked: a second or so.
_FEW = 20_000


@options.expand_groups
def explain(
    name: Annotated[
        str, typer.Argument(help="Id of a task or candidate (p17.3), of a prompt (p17) or of a seed.", metavar="ID")
    ],
    run: options.RunOptions,
    as_json: options.AsJson = False,
    nearest: Annotated[
        bool, typer.Option("--nearest", help="Compare an accepted task with all earlier ones, however many they are.")
    ] = False,
) -> None:
    """Explain a verdict: reason, nearest tasks and scores, parents, prompt, completions, model, versions, cost."""
    found = anyio.run(partial(_explain, nearest=nearest), options.settings_from(run), name)
    if as_json:
        options.print_json(found)
        return
    console = Console()
    for field, value in found.items():
        if value not in (None, [], {}):
            console.print(Text(field, style="bold cyan"))
            console.print(Text(_readable(value)), soft_wrap=not console.is_terminal)


async def _explain(settings: Settings, name: str, *, nearest: bool) -> dict[str, Any]:
    async with open_progress(settings) as (broker, reader):
        evidence = await gather(broker, settings.run, name, reader.index, sys.maxsize if nearest else _FEW)
    facts = evidence.facts()
    if name in evidence.pool and not evidence.has_earlier:
        hint = f"not compared with the {evidence.pool[name].pool_seq:,} earlier tasks; --nearest does so"
        typer.echo(hint, err=True)
    return facts


def _readable(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    return "\n".join(f"  {clean(escaped(line))}" for line in text.split("\n"))
