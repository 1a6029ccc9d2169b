"""`seedstream status` and `seedstream watch`: how far a run has got, now or live, beside the process that runs it."""

from dataclasses import asdict
from typing import Any

import anyio
import typer
from anyio import to_thread
from rich.console import Console

from service.commands import options
from service.console import Pace, acceptance, panel, total_cost_usd
from service.inspection import is_worked_on, open_existing, read_progress
from service.progress import Progress
from service.replay import Tail
from service.settings import Settings
from service.topics import ALL
from service.views import open_view


def status(broker: options.Broker = None, run: options.Run = None, as_json: options.AsJson = False) -> None:
    """Print how far a run has got: exact counts, reasons, tokens and cost."""
    settings = options.settings_from(broker=broker, run=run)
    progress = anyio.run(_read, settings)
    if as_json:
        options.print_json(facts(progress))
    else:
        Console().print(panel(progress))


def watch(broker: options.Broker = None, run: options.Run = None) -> None:
    """Show a run live until it comes to rest: a panel and each finished task; JSON Lines in a pipe."""
    anyio.run(_watch, options.settings_from(broker=broker, run=run))


def facts(progress: Progress) -> dict[str, Any]:
    """Return a run's counts as plain values."""
    defined, goal, ended = progress.defined, progress.goal, progress.ended
    return {
        "run": defined.run if defined else None,
        "recipe": {"name": defined.recipe.name, "digest": defined.recipe.digest} if defined else None,
        "templates": defined.templates.digest if defined else None,
        "target": progress.target,
        "max_prompts": goal.max_prompts if goal else None,
        "reached": progress.reached,
        "ending": {"how": ended.ending.value, "detail": ended.detail} if ended else None,
        "finished": progress.finished,
        "instances": progress.instances,
        "pool": {"size": progress.pool, "human": progress.seeds, "machine": progress.pool - progress.seeds},
        "prompts": {
            "issued": progress.prompts,
            "decided": progress.decided,
            "open": progress.outstanding,
            "failed": progress.failed_prompts,
        },
        "candidates": {
            "judged": progress.candidates,
            "accepted": progress.accepted,
            "acceptance": round(acceptance(progress), 4),
            "rejected": dict(progress.rejected),
        },
        "dropped": dict(progress.dropped),
        "pending": progress.pending,
        "spent": {stage: asdict(spent) for stage, spent in sorted(progress.spent.items())},
        "cost_usd": total_cost_usd(progress.spent),
    }


async def _read(settings: Settings) -> Progress:
    async with open_existing(settings) as broker:
        return await read_progress(broker, settings.run)


async def _watch(settings: Settings) -> None:
    progress = Progress()
    async with open_existing(settings) as broker, Tail.of(broker, settings.run, ALL) as tail:
        async for message in tail.messages_to_end():
            progress.apply(message)
        pace = Pace(finished_before=progress.finished)
        async with open_view(lambda: (progress, None), pace) as view:
            while progress.ended is None:
                news = await tail.next()
                for message in news:
                    progress.apply(message)
                    await view.observe(message)
                if not news and not await to_thread.run_sync(is_worked_on, settings):
                    typer.echo(f"no process works on run {settings.run!r}; `seedstream run` goes on with it", err=True)
                    return
