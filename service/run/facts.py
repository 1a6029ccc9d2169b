"""The counts of a run as plain values, for programs."""

from dataclasses import asdict
from typing import Any

from service.messaging.messages import GoalSet
from service.run.cost_report import cost_facts
from service.run.progress import Progress
from service.run.topic_shares import topic_shares
from service.selfinstruct.recipe import Recipe


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
        "paused": progress.paused,
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


def acceptance(progress: Progress) -> float:
    """Return the share of accepted candidates, 0 … 1."""
    return progress.accepted / progress.candidates if progress.candidates else 0.0
