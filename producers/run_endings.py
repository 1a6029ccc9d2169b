"""Reasons to end a run short of its target."""

from collections.abc import Callable
from dataclasses import dataclass

from service.billing.estimates import marginal_usd, spent_usd
from service.billing.totals import plain
from service.messaging.messages import Ending, GoalSet, RunEnded
from service.run.credits import within_budget
from service.run.progress import Progress

_ENOUGH_AT_FIRST = 20


@dataclass(slots=True)
class Endings:
    """Decides whether a run should be given up now.

    Patience, and calls without a price, are counted from `try_again`: a run that is started again gets a new chance.
    """

    run: str
    patience: int
    _stuck_before: int = 0
    _unpriced_before: int = 0
    _without_price_before: int = 0

    def try_again(self, progress: Progress) -> None:
        """Count from here, and forget that the run was given up before."""
        progress.fruitless = progress.fruitless_tasks = 0
        self._stuck_before = _stuck(progress)
        self.forgive_prices(progress)
        if not progress.reached:
            progress.ended = None

    def forgive_prices(self, progress: Progress) -> None:
        """Count calls without a price from here: what was paid before there was a limit cannot be helped."""
        self._unpriced_before = progress.bill.total.unpriced
        self._without_price_before = progress.bill.total.without_price

    def ended(self, progress: Progress) -> RunEnded | None:
        """Return the end of the run, or none if it goes on or has reached its target."""
        goal = progress.goal
        if goal is None or progress.reached:
            return None
        checks: tuple[Callable[[Progress, GoalSet], tuple[Ending, str] | None], ...] = (
            self._stalled,
            _too_few_seeds,
            self._price_unknown,
            _budget_spent,
            _too_expensive,
            _prompts_exhausted,
        )
        found = next((found for check in checks if (found := check(progress, goal)) is not None), None)
        return None if found is None else self._ending(progress, *found)

    def failed_before_pool(self, progress: Progress) -> bool:
        """Return whether prompts are answered but the latest of them, `patience` in a row, gave no accepted task."""
        return progress.fruitless >= self._patience(so_far=progress.accepted)

    def failed_behind_pool(self, progress: Progress) -> bool:
        """Return whether tasks are accepted but the latest of them, `patience` in a row, could not be finished."""
        return progress.fruitless_tasks >= self._patience(so_far=progress.finished + progress.usable)

    def _patience(self, so_far: int) -> int:
        """Return the number of failures in a row that end the run: a small one if nothing has ever succeeded."""
        return self.patience if so_far else min(self.patience, _ENOUGH_AT_FIRST)

    def _stalled(self, progress: Progress, _: GoalSet) -> tuple[Ending, str] | None:
        if self.failed_before_pool(progress):
            return Ending.STALLED, f"{progress.fruitless} prompts in a row gave no accepted task"
        if self.failed_behind_pool(progress):
            return Ending.STALLED, f"{progress.fruitless_tasks} accepted tasks in a row could not be finished"
        if _stuck(progress) - self._stuck_before >= self.patience:
            stuck = f"{_stuck(progress)} prompts and tasks are stuck among the dead letters"
            return Ending.STALLED, f"{stuck}, which `seedstream replay --dry-run` lists"
        return None

    def _price_unknown(self, progress: Progress, goal: GoalSet) -> tuple[Ending, str] | None:
        """Refuse to go on if a limit in dollars cannot be kept."""
        total = progress.bill.total
        if not limits_dollars(goal) or total.unpriced == self._unpriced_before:
            return None
        if total.without_price > self._without_price_before:
            calls = total.without_price - self._without_price_before
            return Ending.PRICE_UNKNOWN, (
                f"a budget needs prices, and {calls} calls came back without one; give every process that calls the "
                "model the table [prices] in seedstream.toml, or --price-prompt and --price-completion (for a stage's "
                "own model, price_prompt and price_completion in its table [stages.…])"
            )
        if spent_usd(progress.bill) is None and _idle(progress):
            return Ending.PRICE_UNKNOWN, (
                "a limit in dollars needs usage, and the server does not say what its answers used; --budget 0 and "
                "--max-marginal-cost 0 lift the limits"
            )
        return None

    def _ending(self, progress: Progress, ending: Ending, detail: str) -> RunEnded:
        why = ", ".join(f"{reason} {count}" for reason, count in (progress.rejected + progress.dropped).most_common())
        dead = f"; dead letters: {progress.dead_letters.total()}" if progress.dead_letters else ""
        return RunEnded(
            run=self.run,
            ending=ending,
            target=progress.target,
            finished=progress.finished,
            goal=progress.goal,
            detail=f"{detail}; refused so far: {why or 'nothing'}; failed prompts: {progress.failed_prompts}{dead}",
        )


def limits_dollars(goal: GoalSet) -> bool:
    """Return whether a goal has a limit in dollars, which needs the cost of calls."""
    return goal.budget_usd is not None or goal.max_marginal_cost_usd is not None


def _too_few_seeds(progress: Progress, _: GoalSet) -> tuple[Ending, str] | None:
    """End if seeds among the dead letters leave too few tasks to show in a prompt."""
    if progress.defined is None or progress.awaits_seeds:
        return None
    recipe = progress.defined.recipe
    shown = recipe.human_demonstrations + recipe.machine_demonstrations
    there = progress.seeds + min(recipe.machine_demonstrations, progress.pool - progress.seeds)
    if there >= shown:
        return None
    return Ending.STALLED, (
        f"a prompt shows {shown} tasks, and there are {there}: {progress.stuck_seeds} seed tasks are among the dead "
        "letters, which `seedstream replay --dry-run` lists; `seedstream seeds add` adds others"
    )


def _budget_spent(progress: Progress, goal: GoalSet) -> tuple[Ending, str] | None:
    """End once no further prompt can be paid and nothing is on its way, or at once if all is spent already."""
    spent = spent_usd(progress.bill)
    if goal.budget_usd is None or spent is None:
        return None
    if spent < goal.budget_usd and not (_idle(progress) and within_budget(progress, 1) == 0):
        return None
    on_the_way = f", {progress.pending} more are queued" if progress.pending > 0 else ""
    about = "about " if progress.bill.total.unpriced else ""
    return Ending.BUDGET_SPENT, (
        f"{about}${plain(round(spent, 6))} of the budget of ${plain(goal.budget_usd)} is spent; the rest is too little "
        f"for another prompt: {progress.finished} tasks are finished{on_the_way}; a higher --budget continues the run"
    )


def _too_expensive(progress: Progress, goal: GoalSet) -> tuple[Ending, str] | None:
    marginal = marginal_usd(progress.bill)
    if goal.max_marginal_cost_usd is None or marginal is None or marginal <= goal.max_marginal_cost_usd:
        return None
    return Ending.TOO_EXPENSIVE, (
        f"the last 1,000 accepted tasks cost ${plain(round(marginal, 8))} each, more than "
        f"${plain(goal.max_marginal_cost_usd)}: {progress.finished} tasks are finished; "
        "a higher --max-marginal-cost continues the run, 0 lifts the limit"
    )


def _prompts_exhausted(progress: Progress, goal: GoalSet) -> tuple[Ending, str] | None:
    if goal.max_prompts is None or progress.prompts < goal.max_prompts or not _idle(progress):
        return None
    return Ending.PROMPTS_EXHAUSTED, f"all {goal.max_prompts} prompts allowed are used up"


def _idle(progress: Progress) -> bool:
    """Return whether nothing is on its way."""
    return progress.outstanding <= 0 and progress.pending <= 0


def _stuck(progress: Progress) -> int:
    return progress.stuck_prompts + progress.stuck_tasks
