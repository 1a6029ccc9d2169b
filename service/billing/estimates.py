"""Estimates of the cost of prompts and instructions from those already paid: for decisions, never for the bill.

A call of unknown cost counts as the average of its stage.
"""

from math import sqrt

from msgspec import Struct

from service.billing.bill import CLASSIFY, GENERATE, INSTANCES, Bill
from service.billing.moments import Moments
from service.billing.totals import usd_of

# Number of standard deviations of the sum that are set aside beyond its mean.
_DEVIATIONS = 3.0


def spent_usd(bill: Bill) -> float | None:
    """Return the cost of all calls, in US dollars; None if the cost of a stage cannot be estimated."""
    costs = [each.estimate for each in bill.stages.values()]
    known = [cost for cost in costs if cost is not None]
    return usd_of(sum(known)) if len(known) == len(costs) else None


def recent_accepted_usd(bill: Bill) -> float | None:
    """Return the mean US dollars for generating one of the latest accepted instructions; None if unknown."""
    generate = bill.stages.get(GENERATE)
    picos = bill.recent.per_acceptance(generate.per_call if generate is not None else None)
    return None if picos is None else usd_of(picos)


def completion_usd(bill: Bill) -> float | None:
    """Return the mean US dollars for completing an accepted instruction, finished or dropped; None if unknown."""
    scale = _downstream_scale(bill)
    return None if scale is None or not bill.task_costs.seen else usd_of(bill.task_costs.mean * scale)


def marginal_usd(bill: Bill) -> float | None:
    """Return the mean total US dollars for one of the last 1,000 accepted instructions; None before there are 1,000."""
    written, completed = recent_accepted_usd(bill), completion_usd(bill)
    return written + completed if bill.recent.full and written is not None and completed is not None else None


def _downstream_scale(bill: Bill) -> float | None:
    """Return the ratio of estimated to known cost of the stages after admit; None if a stage cannot be estimated."""
    by_stage = bill.stages
    stages = [by_stage[name] for name in (CLASSIFY, INSTANCES) if name in by_stage]
    estimates = [each.estimate for each in stages]
    known = sum(each.cost for each in stages)
    if any(estimate is None for estimate in estimates):
        return None
    return sum(estimate or 0.0 for estimate in estimates) / known if known else 1.0


class _Seen(Struct, frozen=True):
    """Mean and variance of a sample, in US dollars or in instructions, and its size."""

    mean: float
    variance: float
    count: int

    @classmethod
    def of(cls, sample: Moments, unit: float) -> "_Seen":
        """Return the moments of a sample of size n in another unit, with the mean raised by the factor 1 + 1 / n."""
        count = max(sample.seen, 1)
        return cls(sample.mean * unit * (1 + 1 / count), sample.variance * unit * unit, count)

    def variance_of(self, more: float) -> float:
        """Return the variance of the sum of `more` further values, with the mean estimated from those seen."""
        return self.variance * more * (1 + more / self.count)


class Expectation(Struct, frozen=True):
    """Expected cost of undecided prompts and accepted instructions through all their stages.

    It is `complete` once all of these costs have been seen; until then, an unknown cost counts as zero.
    """

    prompt: _Seen
    acceptances: _Seen
    task: _Seen
    complete: bool

    @classmethod
    def of(cls, bill: Bill) -> "Expectation":
        scale = _downstream_scale(bill)
        return cls(
            prompt=_Seen.of(bill.prompt_costs, usd_of(1)),
            acceptances=_Seen.of(bill.acceptances, 1.0),
            task=_Seen.of(bill.task_costs, usd_of(scale or 1.0)),
            complete=bool(scale is not None and bill.prompt_costs.seen and bill.task_costs.seen),
        )

    def at_most(self, prompts: int, tasks: int) -> float:
        """Return an upper estimate, in US dollars, for `prompts` undecided prompts and `tasks` unfinished instructions.

        It is the mean plus three standard deviations.
        """
        instructions = tasks + prompts * self.acceptances.mean
        mean = prompts * self.prompt.mean + instructions * self.task.mean
        variance = self.prompt.variance_of(prompts) + self.task.variance_of(instructions)
        variance += self.acceptances.variance_of(prompts) * self.task.mean**2
        return mean + _DEVIATIONS * sqrt(variance)
