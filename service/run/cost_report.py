"""The bill of a run as plain values: what is not known is none, never 0.

`cost_usd` is exact or none, `known_cost_usd` what those calls cost that have a price. Rates and the forecast count
calls of unknown cost at the average of their stage.
"""

from collections.abc import Mapping
from typing import Any

from service.billing.estimates import marginal_usd, spent_usd
from service.billing.totals import usd_of
from service.run.cost_forecast import budget_left_usd, forecast_usd
from service.run.progress import Progress


def essentials(progress: Progress) -> dict[str, Any]:
    """Return what the run costs, in a few numbers."""
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
    """Return the whole bill: by stage, and by what came of the calls."""
    bill, known = progress.bill, progress.bill.total.known_usd is not None
    return {
        "run": progress.defined.run if progress.defined is not None else None,
        "target": progress.target,
        "accepted": progress.accepted,
        "finished": progress.finished,
        **essentials(progress),
        "stages": {stage: spent.facts() for stage, spent in sorted(bill.stages.items())},
        "total": bill.total.facts(),
        "outcomes_usd": {
            "candidates": _dollars(bill.candidates) if known else None,
            "tasks": _dollars(bill.tasks) if known else None,
            "paid_twice": usd_of(bill.repeated_cost) if known else None,
        },
    }


def paid_for(progress: Progress) -> dict[str, float]:
    """Return what was paid for each outcome of candidates and tasks, in US dollars, the dearest first."""
    bill = progress.bill
    costs = dict(bill.candidates)
    for name, cost in bill.tasks.items():
        costs[name] = costs.get(name, 0) + cost
    return _dollars(costs)


def per_usd(progress: Progress, count: int) -> float | None:
    """Return what each of so many cost, all else that was paid for included; none where that is not known."""
    spent = spent_usd(progress.bill) if progress.spent else None
    return spent / count if spent is not None and count else None


def _dollars(costs: Mapping[str, int]) -> dict[str, float]:
    """Return the outcomes that cost something, the dearest first."""
    return {name: usd_of(cost) for name, cost in sorted(costs.items(), key=lambda each: -each[1]) if cost}
