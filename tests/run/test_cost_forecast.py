"""The prompts that a budget allows: they spend all of it, and hardly more."""

from dataclasses import dataclass, field
from random import Random

import pytest
from msgspec import structs

from producers.run_endings import Endings
from service.billing.estimates import completion_usd, recent_accepted_usd, spent_usd
from service.messaging.messages import (
    Answer,
    ClassifiedInstruction,
    Ending,
    FinishedTask,
    GoalSet,
    Message,
    RunEnded,
    TaskInstances,
)
from service.run.cost_forecast import budget_left_usd, forecast_usd
from service.run.cost_report import cost_facts
from service.run.credits import affordable_prompts, within_budget
from service.run.progress import Progress
from service.selfinstruct.tasks import InstanceReason, Reason
from tests.billing.test_bill import answer, classified, decision, written
from tests.support import examples
from tests.support.logs import RUN

WINDOW = 64


def goal(budget_usd: float | None, target: int = 10**6, max_marginal_cost_usd: float | None = None) -> GoalSet:
    return GoalSet(run=RUN, target=target, budget_usd=budget_usd, max_marginal_cost_usd=max_marginal_cost_usd)


def progress_of(*messages: Message) -> Progress:
    progress = Progress()
    for message in messages:
        progress.apply(message)
    return progress


def finished(number: int) -> FinishedTask:
    return structs.replace(examples.finished(number), id=f"p{number}.0")


def as_counted(message: Answer | ClassifiedInstruction | TaskInstances) -> Message:
    """Return a message whose call has no usage if it has no cost."""
    if message.call is None or message.call.cost_usd is not None:
        return message
    return structs.replace(message, call=structs.replace(message.call, usage=None))


@dataclass
class Market:
    """A run whose calls end in any order, at prices that vary widely. Costs are in dollars."""

    random: Random
    progress: Progress
    prompt_usd: float = 0.01
    task_usd: float = 0.004
    uncounted: float = 0.0
    paid: float = 0.0
    prompts: list[int] = field(default_factory=list)
    tasks: list[tuple[str, int]] = field(default_factory=list)
    pool: int = 0

    def run(self, patience: int = 200) -> RunEnded:
        endings = Endings(RUN, patience)
        while True:
            if (ended := endings.ended(self.progress)) is not None:
                return ended
            for seq in self.progress.free_seqs(affordable_prompts(self.progress, WINDOW)):
                self.progress.apply(examples.prompt(seq))
                self.prompts.append(seq)
            if self.prompts and (not self.tasks or self.random.random() < 0.3):
                self._answer(self.prompts.pop(self.random.randrange(len(self.prompts))))
            else:
                self._complete(*self.tasks.pop(self.random.randrange(len(self.tasks))))

    def _pay(self, mean_usd: float) -> float | None:
        cost = mean_usd * self.random.choice((0.2, 0.6, 0.8, 1.0, 2.4))
        self.paid += cost
        return None if self.random.random() < self.uncounted else cost

    def _answer(self, seq: int) -> None:
        self.progress.apply(as_counted(answer(seq, self._pay(self.prompt_usd))))
        accepted = self.random.randrange(6)
        self.progress.apply(decision(seq, *[None] * accepted, Reason.TOO_SIMILAR))
        for place in range(accepted):
            self.tasks.append((f"p{seq}.{place}", self.pool))
            self.pool += 1

    def _complete(self, name: str, number: int) -> None:
        self.progress.apply(as_counted(classified(number, self._pay(self.task_usd / 2))))
        rejection = self.random.choice((None, None, InstanceReason.NONE_PARSED))
        task = structs.replace(written(number, rejection, self._pay(self.task_usd / 2)), id=name)
        self.progress.apply(as_counted(task))
        if rejection is None:
            self.progress.apply(structs.replace(examples.finished(number), id=name))


@pytest.mark.parametrize("seed", range(20))
def test_a_run_spends_its_budget_and_not_more(seed: int) -> None:
    market = Market(Random(seed), progress_of(goal(5.0)))
    end = market.run()
    assert end.ending is Ending.BUDGET_SPENT
    assert 4.9 < market.paid <= 5.0
    assert not market.prompts
    assert not market.tasks
    assert f"{market.progress.finished} tasks are finished; a higher --budget continues the run" in end.detail


@pytest.mark.parametrize("seed", range(10))
def test_calls_without_usage_are_budgeted_at_the_average_cost(seed: int) -> None:
    market = Market(Random(seed), progress_of(goal(5.0)), uncounted=0.2)
    end = market.run()
    assert end.ending is Ending.BUDGET_SPENT
    assert end.detail.startswith("about $4.9")
    assert 4.5 < market.paid <= 5.5


@pytest.mark.parametrize("budget", [0.05, 0.2, 1.0])
def test_a_small_budget_is_tried_with_few_prompts_first(budget: float) -> None:
    market = Market(Random(3), progress_of(goal(budget)))
    market.run()
    assert market.paid <= max(budget, 4 * 0.12)


def test_a_raised_budget_buys_more() -> None:
    market = Market(Random(0), progress_of(goal(1.0)))
    market.run()
    finished_before = market.progress.finished
    market.progress.apply(goal(3.0))
    assert market.run().ending is Ending.BUDGET_SPENT
    assert 2.9 < market.paid <= 3.0
    assert market.progress.finished > 2 * finished_before


def test_without_a_budget_all_prompts_are_allowed() -> None:
    assert within_budget(progress_of(goal(None), answer(0, 10.0**4)), 7) == 7


def test_few_prompts_are_issued_before_the_first_finished_task() -> None:
    progress = progress_of(goal(100.0))
    assert within_budget(progress, WINDOW) == 4
    for message in (*map(examples.prompt, range(4)), answer(0, 0.01), decision(0, None)):
        progress.apply(message)
    assert within_budget(progress, WINDOW) == 0
    for message in (classified(0, 0.001), written(0, cost_usd=0.001), finished(0)):
        progress.apply(message)
    assert within_budget(progress, WINDOW) == WINDOW


def test_open_prompts_reduce_the_budget_for_new_ones() -> None:
    through = [answer(0, 1.0), decision(0, None), classified(0, 0.0), written(0, cost_usd=0.0), finished(0)]
    seen = [message for seq in range(50) for message in (answer(seq, 1.0), decision(seq, Reason.TOO_SHORT))]
    progress = progress_of(goal(60.0), *through, *seen[2:])
    free = within_budget(progress, WINDOW)
    assert 8 <= free <= 10
    for seq in range(50, 55):
        progress.apply(examples.prompt(seq))
    assert within_budget(progress, WINDOW) == free - 5


def test_a_decision_without_a_known_cost_yet_is_still_to_be_paid() -> None:
    """Decisions and their costs come from two topics."""
    messages = [answer(0, 1.0), decision(0, None), classified(0, 0.0), written(0, cost_usd=0.0), finished(0)]
    progress = progress_of(goal(100.0), *messages, examples.prompt(1))
    before = within_budget(progress, 99)
    progress.apply(decision(1, Reason.TOO_SHORT))
    assert progress.outstanding == 0
    assert within_budget(progress, 99) <= before + 3


def unpriced(seq: int) -> Message:
    call = structs.replace(examples.CALL, cost_usd=None)
    return structs.replace(examples.answer(seq), call=call)


def test_a_budget_ends_a_run_without_prices_at_once() -> None:
    old = [examples.prompt(0), examples.prompt(1), unpriced(0), decision(0, None)]
    progress, endings = progress_of(goal(5.0), *old), Endings(RUN, 100)
    endings.try_again(progress)
    assert endings.ended(progress) is None
    progress.apply(unpriced(1))
    end = endings.ended(progress)
    assert end is not None
    assert end.ending is Ending.PRICE_UNKNOWN
    assert "[prices]" in end.detail


def test_a_budget_ends_a_run_without_usage_once_nothing_is_open() -> None:
    progress, endings = progress_of(goal(5.0)), Endings(RUN, 100)
    endings.try_again(progress)
    uncounted = structs.replace(examples.CALL, cost_usd=None, usage=None)
    for seq in range(2):
        progress.apply(examples.prompt(seq))
        progress.apply(structs.replace(examples.answer(seq), call=uncounted))
    assert endings.ended(progress) is None
    for seq in range(2):
        progress.apply(decision(seq, Reason.TOO_SHORT))
    end = endings.ended(progress)
    assert end is not None
    assert (end.ending, "usage" in end.detail) == (Ending.PRICE_UNKNOWN, True)


def test_without_a_limit_in_dollars_calls_need_no_price() -> None:
    progress = progress_of(goal(None), examples.prompt(0), unpriced(0))
    assert Endings(RUN, 100).ended(progress) is None


def test_a_spent_budget_ends_a_run_with_open_prompts() -> None:
    progress = progress_of(goal(2.0), answer(0, 2.0), decision(0, None), examples.prompt(1))
    end = Endings(RUN, 100).ended(progress)
    assert end is not None
    assert (end.ending, "1 more are queued" in end.detail) == (Ending.BUDGET_SPENT, True)


def dear_run(max_marginal_cost_usd: float) -> Progress:
    progress = progress_of(goal(None, max_marginal_cost_usd=max_marginal_cost_usd))
    for message in (classified(0, 0.5), written(0, cost_usd=0.5), finished(0)):
        progress.apply(message)
    for seq in range(100):
        progress.apply(answer(seq, 10.0))
        progress.apply(decision(seq, *[None] * 10))
    return progress


def test_a_run_ends_when_its_marginal_cost_is_too_high() -> None:
    end = Endings(RUN, 100).ended(dear_run(1.99))
    assert end is not None
    assert end.ending is Ending.TOO_EXPENSIVE
    assert "$2 each" in end.detail
    assert Endings(RUN, 100).ended(dear_run(2.0)) is None


def test_the_forecast_adds_missing_tasks_at_their_recent_cost() -> None:
    progress = progress_of(goal(None, target=10))
    assert forecast_usd(progress) is None
    for number in range(4):
        progress.apply(answer(number, 3.0))
        progress.apply(decision(number, None))
    assert forecast_usd(progress) is None
    for number in range(4):
        progress.apply(classified(number, 0.5))
        progress.apply(written(number, cost_usd=0.5))
        progress.apply(finished(number))
    assert spent_usd(progress.bill) == 16.0
    assert (recent_accepted_usd(progress.bill), completion_usd(progress.bill)) == (3.0, 1.0)
    assert forecast_usd(progress) == 16.0 + 6 * (3.0 + 1.0)


def test_the_forecast_includes_the_rest_of_queued_tasks() -> None:
    done = [answer(0, 3.0), decision(0, None), classified(0, 0.5), written(0, cost_usd=0.5), finished(0)]
    progress = progress_of(goal(None, target=4), *done)
    assert forecast_usd(progress) == 4.0 + 3 * 4.0
    progress.apply(answer(1, 3.0))
    progress.apply(decision(1, None))
    assert forecast_usd(progress) == 7.0 + 1.0 + 2 * 4.0
    progress.apply(classified(1, 0.5))
    assert forecast_usd(progress) == 7.5 + 0.5 + 2 * 4.0
    progress.apply(answer(2, 3.0))
    assert forecast_usd(progress) == 10.5 + 0.5 + 4.0 + 1.0


def test_at_the_target_the_forecast_equals_the_spent_amount() -> None:
    progress = progress_of(goal(None, target=1), answer(0, 3.0), decision(0, None), finished(0))
    assert forecast_usd(progress) == 3.0


def test_the_rest_of_a_budget_is_unknown_if_a_cost_is_unknown() -> None:
    assert budget_left_usd(progress_of(goal(None), answer(0, 3.0))) is None
    assert budget_left_usd(progress_of(goal(5.0))) == 5.0
    assert budget_left_usd(progress_of(goal(5.0), answer(0, 3.0))) == 2.0
    assert budget_left_usd(progress_of(goal(5.0), unpriced(0))) is None


def test_an_unknown_amount_is_none_and_not_zero() -> None:
    told = cost_facts(progress_of(goal(None), examples.prompt(0), unpriced(0), decision(0, None)))
    unknown = {name for name, value in told.items() if value is None}
    assert {"cost_usd", "known_cost_usd", "per_accepted_usd", "marginal_usd", "forecast_usd"} <= unknown
    assert (told["unpriced"], told["uncounted"]) == (1, 0)
