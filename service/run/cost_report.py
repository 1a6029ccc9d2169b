"""The bill of a run as plain values. An unknown value is `None`, never 0.

`cost_usd` is exact, or `None` if the cost of any call is unknown. `known_cost_usd` is the cost of the calls that have a
price. Rates and the forecast count a call of unknown cost at the average of its stage.
"""

from collections.abc import Mapping
from typing import Any

from service.billing.estimates import marginal_usd, spent_usd
from service.billing.totals import usd_of
from service.run.cost_forecast import budget_left_usd, forecast_usd
from service.run.progress import Progress


def cost_facts(progress: Progress) -> dict[str, Any]:
    """Return the main figures: costs so far, rates per task, forecast, limits and price tables."""
    total, goal = progress.bill.total, progress.goal
    return {
        "cost_usd": total.cost_usd,
        "known_cost_usd": total.known_usd,
        "uncounted": total.uncounted,
        "unpriced": total.unpriced,
        "paid_twice": progress.paid_twice,
        "per_accepted_usd": per_usd(progress, progress.accepted),
        "per_finished_usd": per_usd(progress, progress.finished),
        "marginal_usd": marginal_usd(progress.bill) if progress.spent else None,
        "forecast_usd": forecast_usd(progress) if progress.spent else None,
        "budget_usd": goal.budget_usd if goal is not None else None,
        "budget_left_usd": budget_left_usd(progress),
        "max_marginal_cost_usd": goal.max_marginal_cost_usd if goal is not None else None,
        "prices": sorted(progress.bill.prices),
    }


def statement(progress: Progress) -> dict[str, Any]:
    """Return the complete bill, by stage, by stage and model, and by outcome of the calls."""
    bill, known = progress.bill, progress.bill.total.known_usd is not None
    return {
        "run": progress.defined.run if progress.defined is not None else None,
        "target": progress.target,
        "accepted": progress.accepted,
        "finished": progress.finished,
        **cost_facts(progress),
        "stages": {stage: spent.facts() for stage, spent in sorted(bill.stages.items())},
        "models": {
            stage: {model: spent.facts() for model, spent in sorted(models.items())}
            for stage, models in sorted(bill.models.items())
        },
        "total": bill.total.facts(),
        "outcomes_usd": {
            "candidates": _dollars(bill.candidates) if known else None,
            "tasks": _dollars(bill.tasks) if known else None,
            "paid_twice": usd_of(bill.repeated_cost) if known else None,
        },
    }


def paid_for(progress: Progress) -> dict[str, float]:
    """Return the cost of each outcome of candidates and tasks, in US dollars, highest first."""
    bill = progress.bill
    costs = dict(bill.candidates)
    for name, cost in bill.tasks.items():
        costs[name] = costs.get(name, 0) + cost
    return _dollars(costs)


def per_usd(progress: Progress, count: int) -> float | None:
    """Return the cost of the whole run divided by `count`, in US dollars; `None` if unknown or `count` is 0."""
    spent = spent_usd(progress.bill) if progress.spent else None
    return spent / count if spent is not None and count else None


def _dollars(costs: Mapping[str, int]) -> dict[str, float]:
    """Convert picodollars to dollars, highest first, without outcomes of cost 0."""
    return {name: usd_of(cost) for name, cost in sorted(costs.items(), key=lambda each: -each[1]) if cost}
