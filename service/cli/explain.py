"""`seedstream explain ID`: all facts about a task, a candidate, a prompt or a seed."""

from typing import Annotated, Any

import anyio
import orjson
import typer
from rich.console import Console
from rich.text import Text

from service.bootstrap.open_run import open_existing
from service.cli import options
from service.cli.terminal_text import clean
from service.run.lineage import Evidence, gather
from service.settings import Settings


@options.expand_groups
def explain(
    name: Annotated[
        str, typer.Argument(help="Id of a task or candidate (p17.3), of a prompt (p17) or of a seed.", metavar="ID")
    ],
    run: options.RunOptions,
    as_json: options.AsJson = False,
) -> None:
    """Explain a verdict: reason, nearest tasks and scores, parents, prompt, completions, model, versions, cost."""
    found = anyio.run(_explain, options.settings_from(run), name)
    if as_json:
        options.print_json(found)
        return
    console = Console()
    for field, value in found.items():
        if value not in (None, [], {}):
            console.print(Text(field, style="bold cyan"))
            console.print(Text(_readable(value)), soft_wrap=not console.is_terminal)


async def _explain(settings: Settings, name: str) -> dict[str, Any]:
    async with open_existing(settings) as broker:
        evidence: Evidence = await gather(broker, settings.run, name)
    return evidence.facts()


def _readable(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    return "\n".join(f"  {clean(line)}" for line in text.split("\n"))
