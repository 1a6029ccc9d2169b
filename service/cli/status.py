"""`seedstream status` and `seedstream watch`: the progress of a run, once or live, from another process."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import anyio
import typer
from anyio import to_thread
from rich.console import Console

from service.bootstrap.open_run import is_worked_on
from service.cli import options
from service.cli.facts import acceptance
from service.cli.live_view import open_view
from service.cli.pace import Pace
from service.cli.reading import open_progress
from service.cli.rendering import panel
from service.cli.standstill import Standstill, last_moved_s, waiting_at_most
from service.messaging.messages import GoalSet
from service.pipeline.members import Members, read_members
from service.pipeline.role import Role
from service.pipeline.stall import read_waiting
from service.run.cost_report import cost_facts
from service.run.progress import Progress
from service.run.topic_shares import topic_shares
from service.selfinstruct.recipe import Recipe
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


def facts(progress: Progress) -> dict[str, Any]:
    """Return a run's counts as plain values."""
    defined, goal, ended = progress.defined, progress.goal, progress.ended
    return {
        "run": defined.run if defined else None,
        "recipe": _recipe(defined.recipe) if defined else None,
        "templates": defined.templates.digest if defined else None,
        "about": (defined.templates.run_subject.about or None) if defined else None,
        "topics": [asdict(each) for each in topic_shares(progress)],
        "target": progress.target,
        "max_prompts": goal.max_prompts if goal else None,
        "reached": progress.reached,
        "ending": {"how": ended.ending.value, "detail": ended.detail} if ended else None,
        "finished": progress.finished,
        "classification": progress.classification,
        "instances": progress.instances,
        "pool": {"size": progress.pool, "human": progress.seeds, "machine": progress.pool - progress.seeds},
        "prompts": {
            "issued": progress.prompts,
            "decided": progress.decided,
            "open": None if progress.unread else progress.outstanding,
            "failed": progress.failed_prompts,
        },
        "candidates": {
            "judged": progress.candidates,
            "accepted": progress.accepted,
            "acceptance": round(acceptance(progress), 4),
            "rejected": dict(progress.rejected),
        },
        "dropped": dict(progress.dropped),
        "pending": None if progress.unread else progress.pending,
        "unread": dict(progress.unread),
        "dead_letters": dict(progress.dead_letters),
        "stuck": {"prompts": progress.stuck_prompts, "tasks": progress.stuck_tasks},
        "spent": {stage: spent.facts() for stage, spent in sorted(progress.spent.items())},
        "limits": _limits(goal),
        **cost_facts(progress),
    }


def _limits(goal: GoalSet | None) -> dict[str, Any]:
    limits: dict[str, Any] = {name: getattr(goal, name) if goal else None for name in ("rpm", "tpm", "max_in_flight")}
    if goal is not None and goal.stages is not None:
        limits["stages"] = {step: own.named for step, own in goal.stages.items()}
    return limits


def _recipe(recipe: Recipe) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "form": recipe.form,
        "chat_model": recipe.chat_model,
        **_later_forms(recipe),
        "digest": recipe.digest,
    }


def _later_forms(recipe: Recipe) -> dict[str, Any]:
    """Return how the later steps ask, if they ask otherwise than the first."""
    if recipe.later_forms is None:
        return {}
    return {"later_forms": {name: own for name, own in asdict(recipe.later_forms).items() if own is not None}}


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
        still_s = last_moved_s(progress, reader.tail.latest_ms)
        still = None
        if still_s is not None:
            abandoned = not await to_thread.run_sync(is_worked_on, settings)
            waiting = waiting_at_most(await read_waiting(broker, settings.run), progress)
            still = Standstill(still_s, waiting, abandoned)
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
