"""The bill of a run: the cost of its calls by stage and by outcome, as a fold over its messages.

The candidates of a prompt share the cost of its completion equally; each was accepted, or rejected for a reason. The
cost of completing an accepted instruction is that of its calls, whether it was finished or dropped. Calls paid for a
second time have an outcome of their own. So the sum over outcomes always equals the sum over stages, to the last
picodollar.

The topics may be interleaved in any order. A cost waits for its outcome, and an outcome for its cost, in a table of
rows, which takes some twenty bytes per prompt or accepted instruction.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from service.billing.moments import Moments
from service.billing.recent_cost import RecentAcceptances
from service.billing.totals import Spent
from service.containers import DenseSet, RowTable
from service.messaging.messages import (
    Answer,
    Call,
    CallsDropped,
    ClassifiedInstruction,
    Decision,
    FailedCall,
    FailedPrompt,
    FinishedTask,
    Message,
    Origin,
    PooledTask,
    TaskInstances,
)
from service.selfinstruct.tasks import InstanceReason

GENERATE, CLASSIFY, INSTANCES = "generate", "classify", "instances"
ACCEPTED, NO_CANDIDATES, FAILED, UNDECIDED = "accepted", "no_candidates", "failed", "undecided"
FINISHED, PENDING = "finished", "pending"
CALL_FAILED = InstanceReason.CALL_FAILED.value
MARGINAL = 1_000

# The state of an accepted instruction, as a number: nothing yet; has instances; finished; dropped, by reason.
_NOTHING, _USABLE, _FINISHED = range(3)
_DROPPED = {reason: number for number, reason in enumerate(InstanceReason, _FINISHED + 1)}
_OUTCOMES = (PENDING, PENDING, FINISHED, *(reason.value for reason in InstanceReason))
_UNKNOWN = -1

# `cost` is 0 until the call is read, then 1 more than its picodollars, or `_UNKNOWN`; `fate` is a number of
# `Bill._number_of`, 0 until the decision is read; `stretch` is its place in `Bill.recent`.
_PROMPT_ROW = (("cost", "i8"), ("fate", "i4"), ("stretch", "i8"))
# `cost` is the sum over the calls of an accepted instruction, in picodollars; `state` is a number of those above.
_TASK_ROW = (("cost", "i8"), ("state", "i1"))


@dataclass(slots=True)
class Bill:
    """Costs in picodollars. Apply every message of each topic that it covers, with the topics in any order.

    `candidates` is the cost of `generate` by the outcome of the candidates, and `tasks` the cost of the other stages by
    the outcome of accepted instructions. `repeated_cost` is the cost of calls paid for a second time. `prices` are the
    versions of the price tables seen. `prompt_costs`, `acceptances` and `task_costs` are samples of the cost of a
    prompt, of its number of accepted candidates, and of the cost of completing an instruction. `awaited` is the number
    of prompts that are decided and whose cost has not been read yet.
    """

    stages: dict[str, Spent] = field(default_factory=dict)
    candidates: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    repeated_cost: int = 0
    prices: set[str] = field(default_factory=set)
    prompt_costs: Moments = field(default_factory=Moments)
    acceptances: Moments = field(default_factory=Moments)
    task_costs: Moments = field(default_factory=Moments)
    awaited: int = 0
    recent: RecentAcceptances = field(default_factory=lambda: RecentAcceptances(MARGINAL), compare=False)
    _answered: dict[str, DenseSet] = field(default_factory=dict, compare=False)
    _fates: dict[tuple[str, ...], int] = field(default_factory=dict, compare=False)
    _fate_of_number: list[tuple[str, ...]] = field(default_factory=list, compare=False)
    _prompts: RowTable = field(default_factory=lambda: RowTable(_PROMPT_ROW), compare=False)
    _tasks: RowTable = field(default_factory=lambda: RowTable(_TASK_ROW), compare=False)

    @property
    def total(self) -> Spent:
        """Return the sum over all stages."""
        return sum(self.stages.values(), Spent())

    def apply(self, message: Message) -> None:
        """Add one message to the bill; messages of other types are ignored."""
        match message:
            case Answer() | FailedPrompt():
                self._generated(message)
            case Decision():
                self._decided(message)
            case ClassifiedInstruction() | TaskInstances():
                self._completed(message)
            case FinishedTask():
                self._become(self._tasks[message.pool_seq], _FINISHED)
            case _:
                self._note(message)

    def _note(self, message: Message) -> None:
        match message:
            case CallsDropped():
                self._dropped(message)
            case PooledTask() if message.origin is Origin.HUMAN:
                for stage in (CLASSIFY, INSTANCES):  # no calls for human tasks: their numbers keep the sets dense
                    self._answered.setdefault(stage, DenseSet()).add(message.pool_seq)
            case _:
                pass

    def _dropped(self, message: CallsDropped) -> None:
        """Count the cost of dropped calls as failed; the calls are made again."""
        cost = self._pay(message.stage, None, message.spent)
        fates, fate = (self.candidates, FAILED) if message.stage == GENERATE else (self.tasks, CALL_FAILED)
        fates[fate] += cost or 0

    def _generated(self, message: Answer | FailedPrompt) -> None:
        """Count a call for a prompt. Only the first record is decided on; the cost of a second one counts as failed."""
        seq = message.prompt_seq
        call = message.call if isinstance(message, Answer) else None
        if call is not None and self._is_repeated(GENERATE, seq, call):
            return
        cost = self._pay(GENERATE, call, message.spent if isinstance(message, FailedPrompt) else None)
        row = self._prompts[seq]
        if row["cost"]:
            self.candidates[FAILED] += cost or 0
            return
        row["cost"] = _UNKNOWN if cost is None else cost + 1
        if cost is not None:
            self.prompt_costs.add(cost)
        self.candidates[UNDECIDED] += cost or 0
        self.awaited -= bool(row["fate"])
        self._join(row)

    def _decided(self, decision: Decision) -> None:
        row = self._prompts[decision.prompt_seq]
        if row["fate"]:
            return
        self.acceptances.add(decision.accepted)
        self.awaited += not row["cost"]
        row["fate"] = self._number_of(_fate(decision))
        row["stretch"] = self.recent.decide(decision.accepted)
        self._join(row)

    def _number_of(self, fate: tuple[str, ...]) -> int:
        """Return the number of a fate (`_fate`), from 1; there are far fewer fates than prompts."""
        if fate not in self._fates:
            self._fate_of_number.append(fate)
            self._fates[fate] = len(self._fate_of_number)
        return self._fates[fate]

    def _join(self, row: np.void) -> None:
        """Divide the cost of a prompt among its candidates, once both are known."""
        paid, fate = int(row["cost"]), int(row["fate"])
        if paid in (0, _UNKNOWN) or not fate:
            return
        cost, names = paid - 1, self._fate_of_number[fate - 1]
        self.recent.pay(int(row["stretch"]), cost)
        self.candidates[UNDECIDED] -= cost
        share, rest = divmod(cost, len(names))
        for place, name in enumerate(names):
            self.candidates[name] += share + (place < rest)

    def _completed(self, message: ClassifiedInstruction | TaskInstances) -> None:
        stage = CLASSIFY if isinstance(message, ClassifiedInstruction) else INSTANCES
        number = message.pool_seq
        row = self._tasks[number]
        if message.call is None or not self._is_repeated(stage, number, message.call):
            self._charge(row, self._pay(stage, message.call, message.spent) or 0)
        if isinstance(message, TaskInstances) and row["state"] == _NOTHING:
            self._become(row, _USABLE if message.rejection is None else _DROPPED[message.rejection])

    def _charge(self, row: np.void, cost: int) -> None:
        """Add to the cost of an accepted instruction."""
        if cost:
            before, state = int(row["cost"]), int(row["state"])
            row["cost"] = before + cost
            self.tasks[_OUTCOMES[state]] += cost
            if state >= _FINISHED:
                self.task_costs.correct(before, before + cost)

    def _become(self, row: np.void, state: int) -> None:
        """Set the state of an accepted instruction, and move its cost to the outcome of that state."""
        before, cost = int(row["state"]), int(row["cost"])
        row["state"] = state
        self.tasks[_OUTCOMES[before]] -= cost
        self.tasks[_OUTCOMES[state]] += cost
        if before < _FINISHED <= state:
            self.task_costs.add(cost)

    def _pay(self, stage: str, call: Call | None, failed: FailedCall | None) -> int | None:
        """Count a call for the stage and return its cost; None if it is not known."""
        cost: int | None = 0
        for each in (call, failed):
            if each is not None:
                spent = self.stages.setdefault(stage, Spent())
                cost = spent.add(each) if isinstance(each, Call) else spent.add_failed(each)
                if each.prices is not None:
                    self.prices.add(each.prices)
        return cost

    def _is_repeated(self, stage: str, number: int, call: Call) -> bool:
        """Return whether a completion is for an input that already had one; if so, count it as repeated."""
        answered = self._answered.setdefault(stage, DenseSet())
        if number not in answered:
            answered.add(number)
            return False
        self.repeated_cost += self._pay(stage, call, None) or 0
        self.stages[stage].repeated += 1
        return True


def _fate(decision: Decision) -> tuple[str, ...]:
    """Return the outcome of each candidate of a prompt, sorted; the outcome of the prompt if it has no candidates."""
    if decision.failure is not None:
        return (FAILED,)
    names = (ACCEPTED if verdict.reason is None else verdict.reason.value for verdict in decision.verdicts)
    return tuple(sorted(names)) or (NO_CANDIDATES,)
