"""How many prompts to issue now: enough to keep the model busy, no more than the target needs and the budget allows."""

from bisect import bisect_right
from math import ceil

from service.billing.estimates import Expectation, spent_usd
from service.run.progress import Progress
from service.selfinstruct.recipe import RecipeName

# The most that one reply can hold: tasks 9 to 15, and 4 to 20. Taken for the yield until prompts have been decided, so
# that a small target is not overbought at the start; what is missing then is issued a moment later.
_MOST_PER_REPLY = {RecipeName.SELF_INSTRUCT: 7.0, RecipeName.ALPACA: 17.0}
_FIRST_WEIGHT = 2.0
# So many times what is missing may be accepted and unfinished; with more, it is seen first what becomes of that.
_MOST_ON_THE_WAY = 2
# Under a budget, so many prompts at once until it is known what one costs through all its stages.
_UNTRIED = 4


def affordable_prompts(progress: Progress, window: int) -> int:
    """Return how many prompts may be issued now.

    `window` bounds the prompts without a decision. Towards the end the yields seen so far bound it further: what is on
    its way is expected to become tasks at the rates of what has come through, so that little is bought in excess; far
    more than is missing is waited for, whatever the rates. With nothing on its way there is always one more to issue,
    unless the budget is spent.
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
    """Return how many of so many prompts the budget allows: all that is on its way has to be paid too.

    Until costs are known these are few. No price is known to this function that the calls on the log do not tell.
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
    """Return the share of accepted instructions that become finished tasks, 0 … 1, as far as it is known."""
    survivors = max(progress.usable, progress.finished)
    return (survivors + 1) / (survivors + progress.dropped.total() + 1)


def tasks_per_prompt(progress: Progress) -> float:
    """Return how many finished tasks a prompt yields, as far as it is known."""
    recipe = progress.defined.recipe.name if progress.defined is not None else RecipeName.SELF_INSTRUCT
    accepted = (progress.accepted + _FIRST_WEIGHT * _MOST_PER_REPLY[recipe]) / (progress.decided + _FIRST_WEIGHT)
    return accepted * survival(progress)
