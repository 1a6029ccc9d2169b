"""`seedstream status` and `seedstream watch`: the progress of a run, once or live, from another process."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import anyio
import typer
from anyio import to_thread
from rich.console import Console

from service.bootstrap.open_run import is_worked_on
from service.cli import options
from service.cli.live_view import open_view
from service.cli.reading import open_progress
from service.cli.rendering import panel
from service.pipeline.members import Members, read_members
from service.pipeline.role import Role
from service.pipeline.standstill import Standstill, read_standstill
from service.run.facts import facts
from service.run.pace import Pace
from service.run.progress import Progress
from service.settings import Settings


@options.expand_groups
def status(run: options.RunOptions, as_json: options.AsJson = False) -> None:
    """Print the progress of a run: exact counts, rejections by reason, tokens and cost."""
    settings = options.settings_from(run)
    progress, staff, still = anyio.run(_read, settings)
    if as_json:
        workers = {role.value: asdict(each) for role, each in staff.items()}
        options.print_json(facts(progress) | {"at_work": workers, "stalled": still.facts() if still else None})
    else:
        more = {"at work": at_work(staff)}
        if still is not None:
            name, told = still.row(settings.run, staff if settings.on_kafka else None)
            more[name] = told
        Console().print(panel(progress, more=more))
    _tell_if_undefined(progress, settings)


@options.expand_groups
def watch(run: options.RunOptions) -> None:
    """Show a run live until it ends: a panel and each finished task; in a pipe, JSON Lines."""
    anyio.run(_watch, options.settings_from(run))


def _tell_if_undefined(progress: Progress, settings: Settings) -> None:
    if progress.defined is None:
        typer.echo(f"run {settings.run!r} has topics but no goal yet; set one with `seedstream goal`", err=True)


def at_work(staff: Mapping[Role, Members]) -> str:
    """Return the processes at work on each role, in one line; empty if none is known."""
    return ", ".join(
        f"{role}: {_counted(each.active) or 'nobody'}"
        + (f" ({_counted(each.standing_by)} stands by)" if each.standing_by else "")
        for role, each in staff.items()
    )


def _counted(names: Sequence[str]) -> str:
    return f"{len(names)} processes" if len(names) > 1 else "".join(names)


async def _read(settings: Settings) -> tuple[Progress, dict[Role, Members], Standstill | None]:
    async with open_progress(settings) as (broker, reader):
        progress = reader.progress
        still = await read_standstill(broker, settings.run, progress, reader.tail.latest_ms)
        if still is not None:
            still = replace(still, abandoned=not await to_thread.run_sync(is_worked_on, settings))
        return progress, await read_members(broker, settings.run), still


async def _watch(settings: Settings) -> None:
    async with open_progress(settings) as (_, reader):
        progress = reader.progress
        _tell_if_undefined(progress, settings)
        pace = Pace(finished_before=progress.finished)
        async with open_view(lambda: (progress, None), pace) as view:
            while progress.ended is None:
                news = await reader.next()
                for message in news:
                    await view.observe(message)
                if not news and not await to_thread.run_sync(is_worked_on, settings):
                    typer.echo(f"not running; `seedstream run --run {settings.run}` continues it", err=True)
                    return
