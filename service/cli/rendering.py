"""Display of finished tasks and of the progress of a run on a terminal.

Text from a model must pass `clean`: it is untrusted.
"""

from collections.abc import Mapping
from types import MappingProxyType

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from service.cli.facts import summary
from service.cli.terminal_text import clean
from service.messaging.messages import FinishedTask
from service.run.pace import Pace
from service.run.progress import Progress

# Left out first where a terminal is small; the tasks, the budget, the calls and the pace always stay.
_LESS_IMPORTANT = (
    "by outcome",
    "by stage",
    "refused",
    "pool",
    "topics",
    "tokens",
    "on the way",
    "accepted",
    "prompts",
    "forecast",
    "paid twice",
    "dead letters",
    "cost",
)


def task_view(task: FinishedTask) -> RenderableType:
    """Return a finished task in readable form."""
    kind = {True: "classification", False: "generation", None: ""}[task.is_classification]
    head = Text.assemble(
        (f"#{task.task_seq + 1} ", "bold green"), (clean(task.instruction), "bold"), (f"  {task.id} {kind}", "dim")
    )
    lines: list[RenderableType] = [head]
    for instance in task.instances:
        if instance.input:
            lines.append(Text.assemble(("  input   ", "cyan"), _indented(instance.input)))
        lines.append(Text.assemble(("  output  ", "magenta"), _indented(instance.output)))
    return Group(*lines)


def _indented(text: str) -> str:
    return clean(text).strip().replace("\n", "\n          ")


def panel(
    progress: Progress,
    pace: Pace | None = None,
    calls: str | None = None,
    more: Mapping[str, str] = MappingProxyType({}),
) -> Panel:
    """Return a panel with the facts of a run, and with `more` facts as far as they are not empty."""
    return _panel_of(progress, {**summary(progress, pace, calls), **more})


def fitted_panel(console: Console, progress: Progress, pace: Pace, calls: str | None) -> Panel:
    """Return a panel that fits on the terminal: where it is small, the least important facts are left out."""
    facts, dispensable = summary(progress, pace, calls), list(_LESS_IMPORTANT)
    while len(console.render_lines(view := _panel_of(progress, facts))) >= console.height and dispensable:
        facts.pop(dispensable.pop(0), None)
    return view


def _panel_of(progress: Progress, facts: Mapping[str, str]) -> Panel:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row("", ProgressBar(total=max(progress.target, 1), completed=progress.finished))
    for name, value in facts.items():
        if value:
            table.add_row(name, Text(value))
    run = progress.defined
    title = f"{run.run} · {run.recipe.title}" if run is not None else "seedstream"
    return Panel(table, title=Text(title), border_style="dim")
