"""`seedstream cost`: the cost of a run by stage, by model and by outcome, and the forecast for its target."""

from collections.abc import Sequence

import anyio
import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from service.billing.bill import CLASSIFY, GENERATE, INSTANCES, UNNAMED
from service.billing.totals import Spent, usd_of
from service.cli import options
from service.cli.facts import dollars, essential_costs, unread
from service.cli.reading import open_progress
from service.cli.terminal_text import clean
from service.run.cost_report import statement
from service.run.progress import Progress
from service.settings import Settings

_STAGES = (GENERATE, CLASSIFY, INSTANCES)
_UNLIMITED = 10_000


@options.expand_groups
def cost(run: options.RunOptions, as_json: options.AsJson = False) -> None:
    """Print the bill of a run: by stage, model and outcome, for each task, the forecast, the budget.

    The bill covers all restarts. An unknown cost is shown as `unknown` (null), never as 0. The costs per task and the
    forecast count a call of unknown cost at the average of its stage.
    """
    progress = anyio.run(_read, options.settings_from(run))
    if as_json:
        options.print_json(statement(progress))
        return
    models = [by_model(progress)] if has_several_models(progress) else []
    tables = [by_stage(progress), *models, by_outcome(progress)]
    console = console_for(tables)
    for table in tables:
        console.print(table)
    console.print(_essentials(progress))
    if progress.unread:
        typer.echo(f"the bill lacks {unread(progress)}", err=True)
    if without := progress.bill.total.without_price:
        typer.echo(f"{without} calls have no price; set [prices] in seedstream.toml for later calls", err=True)


async def _read(settings: Settings) -> Progress:
    async with open_progress(settings) as (_, reader):
        return reader.progress


def console_for(tables: Sequence[Table]) -> Console:
    """Return a console on which no cell of these tables is cut, however narrow the terminal is."""
    console = Console()
    unlimited = console.options.update(max_width=_UNLIMITED)
    return Console(width=max(console.width, *(Measurement.get(console, unlimited, table).maximum for table in tables)))


def by_stage(progress: Progress) -> Table:
    """Return calls, tokens and cost of each stage; `wasted` tokens belong to attempts without a result."""
    spent = progress.spent
    stages = [(name, spent[name]) for name in _STAGES if name in spent]
    stages.append(("all", progress.bill.total))
    table = Table("", *(name for name, _ in stages))
    for column in table.columns[1:]:
        column.justify = "right"
    told = [_told(spent) for _, spent in stages]
    for fact in told[0]:
        table.add_row(fact, *(each[fact] for each in told))
    return table


def has_several_models(progress: Progress) -> bool:
    """Return whether more than one model answered."""
    return len({model for models in progress.bill.models.values() for model in models if model != UNNAMED}) > 1


def by_model(progress: Progress) -> Table:
    """Return calls, tokens and cost of each model, by stage."""
    table = Table("", "model", "calls", "tokens in", "tokens out", "tokens wasted", "calls failed", "cost")
    for column in table.columns[2:]:
        column.justify = "right"
    models = progress.bill.models
    for stage in (name for name in _STAGES if name in models):
        for model, spent in sorted(models[stage].items()):
            told = _told(spent)
            facts = (told[column] for column in ("calls", "tokens in", "tokens out", "tokens wasted", "calls failed"))
            table.add_row(stage, clean(model) or "(no answer)", *facts, told["cost"])
    return table


def _told(spent: Spent) -> dict[str, str]:
    counts = {
        "calls": spent.calls,
        "attempts": spent.attempts,
        "tokens in": spent.prompt_tokens,
        "  cached": spent.cached_tokens,
        "tokens out": spent.completion_tokens,
        "  reasoning": spent.reasoning_tokens,
        "tokens wasted": spent.wasted_prompt_tokens + spent.wasted_completion_tokens,
        "calls failed": spent.failed,
        "calls uncounted": spent.uncounted,
        "calls without a price": spent.without_price,
    }
    least = "at least " if spent.unpriced and spent.known_usd is not None else ""
    return {name: f"{count:,}" for name, count in counts.items()} | {"cost": least + dollars(spent.known_usd)}


def by_outcome(progress: Progress) -> Table:
    bill = progress.bill
    whole = bill.total.cost
    table = Table("paid for", "outcome", "cost", "share")
    for column in table.columns[2:]:
        column.justify = "right"
    outcomes = [("writing candidates", name, cost) for name, cost in bill.candidates.most_common()]
    outcomes += [("completing tasks", name, cost) for name, cost in bill.tasks.most_common()]
    outcomes.append(("asking again", "paid twice", bill.repeated_cost))
    for what, outcome, picos in outcomes:
        if picos:
            table.add_row(what, outcome, dollars(usd_of(picos)), f"{picos / whole:.1%}")
    if not whole:
        table.add_row("everything", "", dollars(bill.total.known_usd), "")
    return table


def _essentials(progress: Progress) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for name, value in essential_costs(progress).items():
        grid.add_row(name, value)
    return grid
