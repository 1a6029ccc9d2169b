"""Computes how many prompts to issue: enough to keep the model busy, within the target's need and the budget."""

from bisect import bisect_right
from math import ceil

from service.billing.estimates import Expectation, spent_usd
from service.run.progress import Progress
from service.selfinstruct.recipe import SELF_INSTRUCT

# Weight of the assumption that replies are full, in prompts: a small target is not overshot at the start, and further
# prompts follow a moment later.
_FIRST_WEIGHT = 2.0
# Limit on pending instructions, as a multiple of the missing tasks; above it, no prompts are issued.
_MOST_ON_THE_WAY = 2
# Limit on outstanding prompts under a budget, until the cost of a prompt through all stages is known.
_UNTRIED = 4


def affordable_prompts(progress: Progress, window: int) -> int:
    """Return how many prompts may be issued now.

    `window` limits the prompts without a decision. Near the target, the limit is lower: outstanding prompts and pending
    instructions are expected to become tasks at the rates seen so far, so that few excess tasks are paid for. While
    pending instructions exceed twice the missing tasks, no prompts are issued, whatever the rates. With nothing
    outstanding or pending, at least one prompt is issued while the target is not reached, unless the budget or
    `max_prompts` is used up.
    """
    missing = progress.target - progress.finished
    if missing <= 0:
        return 0
    if progress.pending > _MOST_ON_THE_WAY * missing:
        return 0
    limit = max(0, window - progress.outstanding)
    if progress.goal is not None and progress.goal.max_prompts is not None:
        limit = min(limit, progress.goal.max_prompts - progress.prompts)
    limit = within_budget(progress, limit)
    per_prompt = tasks_per_prompt(progress)
    expected = progress.pending * survival(progress) + progress.outstanding * per_prompt
    if missing <= expected and progress.pending + progress.outstanding > 0:
        return 0
    wanted = max(1, ceil((missing - expected) / per_prompt))
    return max(0, min(limit, wanted))


def within_budget(progress: Progress, limit: int) -> int:
    """Return how many prompts the budget allows, at most `limit`, with all outstanding and pending work paid as well.

    Until costs are known, at most four prompts are outstanding. Costs come from the calls on the log, not from a price
    table.
    """
    budget = progress.goal.budget_usd if progress.goal is not None else None
    if budget is None or limit <= 0:
        return limit
    expected = Expectation.of(progress.bill)
    spent = spent_usd(progress.bill)
    if spent is None or not expected.complete:
        limit = min(limit, 0 if progress.pending > 0 else _UNTRIED - progress.outstanding)
    left = budget - (progress.bill.total.known_usd or 0.0 if spent is None else spent)
    on_the_way, tasks = max(progress.outstanding, 0) + progress.bill.awaited, max(progress.pending, 0)
    if left <= 0:
        return 0
    return bisect_right(range(1, limit + 1), left, key=lambda more: expected.at_most(on_the_way + more, tasks))


def survival(progress: Progress) -> float:
    """Return the estimated share of accepted instructions that become finished tasks, 0 … 1 (add-one smoothing)."""
    survivors = max(progress.usable, progress.finished)
    return (survivors + 1) / (survivors + progress.dropped.total() + 1)


def tasks_per_prompt(progress: Progress) -> float:
    """Return the estimated number of finished tasks per prompt, from the decisions so far and a prior."""
    return accepted_per_prompt(progress) * survival(progress)


def accepted_per_prompt(progress: Progress) -> float:
    """Return the estimated number of accepted tasks per prompt, from the decisions so far and a prior."""
    recipe = progress.defined.recipe if progress.defined is not None else SELF_INSTRUCT
    return (progress.accepted + _FIRST_WEIGHT * recipe.most_tasks) / (progress.decided + _FIRST_WEIGHT)
