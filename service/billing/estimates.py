"""What prompts and instructions will cost, judged by those that are paid: for decisions, never for the bill.

Calls whose cost is not known count as much as the average of their stage.
"""

from dataclasses import dataclass
from math import sqrt

from service.billing.bill import CLASSIFY, GENERATE, INSTANCES, Bill
from service.billing.moments import Sample
from service.billing.totals import usd_of

# So many standard deviations of the sum are set aside beyond its mean.
_DEVIATIONS = 3.0


def spent_usd(bill: Bill) -> float | None:
    """Return what all calls cost, in US dollars; none where that cannot be judged."""
    costs = [each.estimate for each in bill.stages.values()]
    known = [cost for cost in costs if cost is not None]
    return usd_of(sum(known)) if len(known) == len(costs) else None


def recent_accepted_usd(bill: Bill) -> float | None:
    """Return what each of the latest accepted instructions cost to write, completing it not included."""
    generate = bill.stages.get(GENERATE)
    picos = bill.recent.per_acceptance(generate.per_call if generate is not None else None)
    return None if picos is None else usd_of(picos)


def completion_usd(bill: Bill) -> float | None:
    """Return what it costs to make a finished task, or nothing, of an accepted instruction; none before it is known."""
    scale = _downstream_scale(bill)
    return None if scale is None or not bill.task_costs.seen else usd_of(bill.task_costs.mean * scale)


def marginal_usd(bill: Bill) -> float | None:
    """Return what each of the last 1,000 accepted instructions cost in all; none before there are so many."""
    written, completed = recent_accepted_usd(bill), completion_usd(bill)
    return written + completed if bill.recent.full and written is not None and completed is not None else None


def _downstream_scale(bill: Bill) -> float | None:
    """Return by how much calls of unknown cost raise what is known of the stages behind admit; none if nothing is."""
    stages = [bill.stages[name] for name in (CLASSIFY, INSTANCES) if name in bill.stages]
    estimates = [each.estimate for each in stages]
    known = sum(each.cost for each in stages)
    if any(estimate is None for estimate in estimates):
        return None
    return sum(estimate or 0.0 for estimate in estimates) / known if known else 1.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """A mean and a variance in US dollars, or in instructions, and of how many."""

    mean: float
    variance: float
    count: int

    @classmethod
    def of(cls, sample: Sample, unit: float) -> "_Seen":
        """Return what a sample says; the mean of few is taken to be higher by the share of one of them."""
        count = max(sample.seen, 1)
        return cls(sample.mean * unit * (1 + 1 / count), sample.variance * unit * unit, count)

    def variance_of(self, more: float) -> float:
        """Return the variance of the sum of so many more, of which the mean is known by those seen."""
        return self.variance * more * (1 + more / self.count)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What prompts on their way, and accepted instructions, will cost through all their stages.

    It is `complete` once all of that has been seen; before, what is not known counts as nothing.
    """

    prompt: _Seen
    acceptances: _Seen
    task: _Seen
    complete: bool

    @classmethod
    def of(cls, bill: Bill) -> "Expectation":
        """Return what is to be expected after what the bill says."""
        scale = _downstream_scale(bill)
        return cls(
            prompt=_Seen.of(bill.prompt_costs, usd_of(1)),
            acceptances=_Seen.of(bill.acceptances, 1.0),
            task=_Seen.of(bill.task_costs, usd_of(scale or 1.0)),
            complete=bool(scale is not None and bill.prompt_costs.seen and bill.task_costs.seen),
        )

    def at_most(self, prompts: int, tasks: int) -> float:
        """Return the US dollars that so many undecided prompts and unfinished instructions will hardly exceed."""
        instructions = tasks + prompts * self.acceptances.mean
        mean = prompts * self.prompt.mean + instructions * self.task.mean
        variance = self.prompt.variance_of(prompts) + self.task.variance_of(instructions)
        variance += self.acceptances.variance_of(prompts) * self.task.mean**2
        return mean + _DEVIATIONS * sqrt(variance)
