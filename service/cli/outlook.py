"""The expected cost of a target in one line, with the basis of the estimate."""

from collections.abc import Sequence
from math import floor, log10

from service.billing.reckoning import Rates, estimate_cost, rates_by_length
from service.cli.facts import dollars
from service.messaging.messages import RunDefined
from service.pipeline.trial import first_prompt
from service.run.cost_forecast import forecast_usd
from service.run.progress import Progress
from service.selfinstruct.tasks import SeedTask
from service.settings import LmKind, Settings


def outlook_by_length(
    definition: RunDefined, seeds: Sequence[SeedTask], tasks: int, settings: Settings, model: str
) -> str:
    """Return the expected calls, tokens and cost of `tasks` tasks, estimated from text lengths before any call."""
    prompt = first_prompt(definition, seeds).as_input(definition.recipe)
    rates = rates_by_length(definition.recipe, definition.templates, seeds, prompt)
    return outlook(rates, tasks, settings, model)


def outlook(rates: Rates, tasks: int, settings: Settings, model: str) -> str:
    """Return the expected calls, tokens and cost of `tasks` tasks at these rates."""
    table = settings.prices_for(model)
    price = table.models.get(model) if table is not None else None
    found = estimate_cost(rates, tasks, price, batch=settings.lm_batch)
    if found.usd is not None:
        cost = f", {_about(found.usd)}"
    else:
        cost = f", and no price is given for {model}" if settings.lm is LmKind.OPENAI else ""
    return (
        f"{_tasks(tasks)}: about {_round(found.calls)} calls, {_round(found.usage.prompt_tokens)} tokens in, "
        f"{_round(found.usage.completion_tokens)} out{cost} (judged {found.basis})"
    )


def outlook_of(progress: Progress) -> str:
    """Return the forecast cost of an existing run at its target, based on its own calls; empty if unknown."""
    usd = forecast_usd(progress) if progress.spent else None
    if usd is None:
        return ""
    return (
        f"{_tasks(progress.target)}: {dollars(usd)} in total, estimated from the {progress.finished:,} finished so far"
    )


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count:,} tasks"


def _about(usd: float) -> str:
    """Return an amount of money rounded to two significant digits."""
    digits = 0 if usd <= 0 else max(0, 1 - floor(log10(usd)))
    return f"${round(usd, digits):,.{max(2, digits)}f}" if usd else "$0"


def _round(count: int) -> str:
    """Return a number rounded to two significant digits."""
    digits = max(0, len(str(count)) - 2)
    return f"{round(count, -digits):,}"
