"""Forecasts the cost of a run at its target, and the rest of its budget."""

from service.billing.bill import PENDING, UNDECIDED
from service.billing.estimates import completion_usd, recent_accepted_usd, spent_usd
from service.billing.totals import usd_of
from service.run.credits import survival
from service.run.progress import Progress


def forecast_usd(progress: Progress) -> float | None:
    """Return the expected cost of the run when it reaches its target, in US dollars; `None` if it is unknown.

    The forecast is the cost so far plus the cost of the missing tasks at the latest rates. Pending instructions are
    used first: they are already generated, and their completion is partly paid for.
    """
    spent, written = spent_usd(progress.bill), recent_accepted_usd(progress.bill)
    completed = completion_usd(progress.bill)
    if progress.goal is None or spent is None:
        return None
    if progress.reached:
        return spent
    if written is None or completed is None:
        return None
    needed = (progress.target - progress.finished) / survival(progress)
    queued = min(needed, max(progress.pending, 0))
    paid = usd_of(progress.bill.tasks[PENDING]) * queued / progress.pending if queued else 0.0
    to_write = (needed - queued) * written - usd_of(progress.bill.candidates[UNDECIDED])
    return spent + max(0.0, to_write) + max(0.0, needed * completed - paid)


def budget_left_usd(progress: Progress) -> float | None:
    """Return the budget less the known costs, in US dollars; `None` without a budget or a known cost."""
    budget = progress.goal.budget_usd if progress.goal is not None else None
    known = progress.bill.total.known_usd if progress.spent else 0.0
    return None if budget is None or known is None else budget - known
