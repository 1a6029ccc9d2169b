"""The bill of a run: the cost of its calls by stage, model and outcome, as a fold over its messages.

The candidates of a prompt share the cost of its completion equally; each was accepted, or rejected for a reason. The
cost of completing an accepted instruction is that of its calls, whether it was finished or dropped. Calls paid for a
second time have an outcome of their own. So the sum over outcomes always equals the sum over stages, to the last
picodollar.

The topics may be interleaved in any order. A cost waits for its outcome, and an outcome for its cost, in a table of
rows, which takes some twenty bytes per prompt or accepted instruction.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from service.billing.moments import Moments
from service.billing.recent_cost import RecentAcceptances
from service.billing.totals import Spent
from service.checkpoints import State
from service.containers import PagedTable
from service.messaging.messages import (
    Answer,
    Call,
    CallsDropped,
    ClassifiedInstruction,
    CountedDecision,
    CountedTask,
    Decision,
    FailedCall,
    FailedPrompt,
    FinishedTask,
    Message,
    PaidAnswer,
    PaidCall,
    PaidClassification,
    PaidInstances,
    TaskInstances,
)
from service.selfinstruct.tasks import InstanceReason

GENERATE, CLASSIFY, INSTANCES = "generate", "classify", "instances"
ACCEPTED, NO_CANDIDATES, FAILED, UNDECIDED = "accepted", "no_candidates", "failed", "undecided"
USABLE, FINISHED, PENDING = "usable", "finished", "pending"
CALL_FAILED = InstanceReason.CALL_FAILED.value
UNNAMED = ""
MARGINAL = 1_000

# The state of an accepted instruction: a place in `Bill._outcomes`. Behind these are the reasons why it was dropped.
_NOTHING, _USABLE, _FINISHED = range(3)
_UNKNOWN = -1


@dataclass(slots=True)
class _Prompts:
    """A page of prompts: whether a completion was read, the cost, the fate, and the stretch.

    `cost` is 0 until the call is read, then 1 more than its picodollars, or `_UNKNOWN`; `fate` is a number of
    `Bill._number_of`, 0 until the decision is read; `stretch` is its place in `Bill.recent`.
    """

    answered: memoryview
    cost: memoryview
    fate: memoryview
    stretch: memoryview


@dataclass(slots=True)
class _Tasks:
    """A page of accepted instructions: for each stage whether a completion was read; the cost of all calls, the state.

    `cost` is in picodollars.
    """

    classified: memoryview
    written: memoryview
    cost: memoryview
    state: memoryview


_PROMPTS = {"answered": "B", "cost": "q", "fate": "i", "stretch": "I"}
_TASKS = {"classified": "B", "written": "B", "cost": "q", "state": "i"}


@dataclass(slots=True)
class Bill:
    """Costs in picodollars. Apply every message of each topic that it covers, with the topics in any order.

    `models` has the totals by stage and by the model that answered, as its server names it. A failed call has the name
    of the model asked, or none (`UNNAMED`) where the run asks one model.

    `candidates` is the cost of `generate` by the outcome of the candidates, and `tasks` the cost of the other stages by
    the outcome of accepted instructions. `repeated_cost` is the cost of calls paid for a second time. `prices` are the
    versions of the price tables seen. `prompt_costs`, `acceptances` and `task_costs` are samples of the cost of a
    prompt, of its number of accepted candidates, and of the cost of completing an instruction. `awaited` is the number
    of prompts that are decided and whose cost has not been read yet.
    """

    models: dict[str, dict[str, Spent]] = field(default_factory=dict)
    candidates: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    repeated_cost: int = 0
    prices: set[str] = field(default_factory=set)
    prompt_costs: Moments = field(default_factory=Moments)
    acceptances: Moments = field(default_factory=Moments)
    task_costs: Moments = field(default_factory=Moments)
    awaited: int = 0
    recent: RecentAcceptances = field(default_factory=lambda: RecentAcceptances(MARGINAL), compare=False)
    _fates: dict[tuple[str, ...], int] = field(default_factory=dict, compare=False)
    _fate_of_number: list[tuple[str, ...]] = field(default_factory=list, compare=False)
    _prompts: PagedTable[_Prompts] = field(default_factory=lambda: PagedTable(_Prompts, _PROMPTS), compare=False)
    _tasks: PagedTable[_Tasks] = field(default_factory=lambda: PagedTable(_Tasks, _TASKS), compare=False)
    _outcomes: list[str] = field(default_factory=lambda: [PENDING, PENDING, FINISHED], compare=False)
    _states: dict[str, int] = field(default_factory=dict, compare=False)

    @property
    def stages(self) -> dict[str, Spent]:
        """Return the totals by stage."""
        return {
            stage: next(iter(spent.values())) if len(spent) == 1 else sum(spent.values(), Spent())
            for stage, spent in self.models.items()
        }

    @property
    def total(self) -> Spent:
        """Return the sum over all stages."""
        return sum(self.stages.values(), Spent())

    def outcome(self, pool_seq: int) -> str | None:
        """Return the outcome of an accepted instruction: "usable", `FINISHED` or a reason; `None` before it has one."""
        page, place = self._tasks.look(pool_seq)
        return self._name_of(_NOTHING if page is None else page.state[place])

    def snapshot(self) -> State:
        """Return the state of this bill; `restored` makes the same bill of it."""
        values = {
            "models": {
                stage: {model: asdict(spent) for model, spent in models.items()}
                for stage, models in self.models.items()
            },
            "candidates": dict(self.candidates),
            "tasks": dict(self.tasks),
            "repeated_cost": self.repeated_cost,
            "prices": sorted(self.prices),
            "samples": [asdict(each) for each in (self.prompt_costs, self.acceptances, self.task_costs)],
            "awaited": self.awaited,
            "recent": self.recent.as_json(),
            "fates": list(self._fate_of_number),
            "outcomes": list(self._outcomes),
        }
        return State(values, {**self._prompts.snapshot("prompts"), **self._tasks.snapshot("tasks")})

    @classmethod
    def restored(cls, state: State) -> "Bill":
        """Return the bill whose state `snapshot` returned."""
        values = state.values
        prompt_costs, acceptances, task_costs = (Moments(**each) for each in values["samples"])
        fates = [tuple(names) for names in values["fates"]]
        dropped = list(enumerate(values["outcomes"]))[_FINISHED + 1 :]
        bill = cls(
            models={
                stage: {model: Spent(**spent) for model, spent in models.items()}
                for stage, models in values["models"].items()
            },
            candidates=Counter(values["candidates"]),
            tasks=Counter(values["tasks"]),
            repeated_cost=values["repeated_cost"],
            prices=set(values["prices"]),
            prompt_costs=prompt_costs,
            acceptances=acceptances,
            task_costs=task_costs,
            awaited=values["awaited"],
            recent=RecentAcceptances.of_json(MARGINAL, values["recent"]),
            _fates={names: number for number, names in enumerate(fates, 1)},
            _fate_of_number=fates,
            _outcomes=list(values["outcomes"]),
            _states={reason: state for state, reason in dropped},
        )
        bill._prompts.restore("prompts", state.arrays)
        bill._tasks.restore("tasks", state.arrays)
        return bill

    def apply(self, message: Message) -> str | None:
        """Add one message to the bill; messages of other types are ignored.

        Returns the outcome that the instruction of an instances or task message had before.
        """
        add = self._ADD.get(type(message))
        return None if add is None else add(self, message)

    def _dropped(self, message: CallsDropped) -> None:
        """Count the cost of dropped calls as failed; the calls are made again."""
        cost = self._pay(message.stage, None, message.spent)
        fates, fate = (self.candidates, FAILED) if message.stage == GENERATE else (self.tasks, CALL_FAILED)
        fates[fate] += cost or 0

    def _answered(self, answer: Answer | PaidAnswer) -> None:
        page, place = self._prompts.row(answer.prompt_seq)
        if not self._is_repeated(GENERATE, page.answered, place, answer.call):
            self._generated(page, place, self._pay(GENERATE, answer.call, None))

    def _failed(self, failed: FailedPrompt) -> None:
        self._generated(*self._prompts.row(failed.prompt_seq), self._pay(GENERATE, None, failed.spent))

    def _generated(self, page: _Prompts, place: int, cost: int | None) -> None:
        """Count a call for a prompt. Only the first record is decided on; the cost of a second one counts as failed."""
        if page.cost[place]:
            self.candidates[FAILED] += cost or 0
            return
        page.cost[place] = _UNKNOWN if cost is None else cost + 1
        if cost is not None:
            self.prompt_costs.add(cost)
        self.candidates[UNDECIDED] += cost or 0
        self.awaited -= bool(page.fate[place])
        self._join(page, place)

    def _decided(self, decision: Decision | CountedDecision) -> None:
        page, place = self._prompts.row(decision.prompt_seq)
        if page.fate[place]:
            return
        accepted = decision.accepted
        self.acceptances.add(accepted)
        self.awaited += not page.cost[place]
        page.fate[place] = self._number_of(_fate(decision))
        page.stretch[place] = self.recent.decide(accepted)
        self._join(page, place)

    def _number_of(self, fate: tuple[str, ...]) -> int:
        """Return the number of a fate (`_fate`), from 1; there are far fewer fates than prompts."""
        number = self._fates.get(fate)
        if number is None:
            self._fate_of_number.append(fate)
            number = self._fates[fate] = len(self._fate_of_number)
        return number

    def _join(self, page: _Prompts, place: int) -> None:
        """Divide the cost of a prompt among its candidates, once both are known."""
        paid, fate = page.cost[place], page.fate[place]
        if paid in (0, _UNKNOWN) or not fate:
            return
        cost, names = paid - 1, self._fate_of_number[fate - 1]
        self.recent.pay(page.stretch[place], cost)
        self.candidates[UNDECIDED] -= cost
        share, rest = divmod(cost, len(names))
        for number, name in enumerate(names):
            self.candidates[name] += share + (number < rest)

    def _classified(self, message: ClassifiedInstruction | PaidClassification) -> None:
        page, place = self._tasks.row(message.pool_seq)
        if message.call is None or not self._is_repeated(CLASSIFY, page.classified, place, message.call):
            self._charge(page, place, self._pay(CLASSIFY, message.call, message.spent))

    def _written(self, message: TaskInstances | PaidInstances) -> str | None:
        page, place = self._tasks.row(message.pool_seq)
        if message.call is None or not self._is_repeated(INSTANCES, page.written, place, message.call):
            self._charge(page, place, self._pay(INSTANCES, message.call, message.spent))
        before = page.state[place]
        if before == _NOTHING:
            self._become(
                page, place, _USABLE if message.rejection is None else self._dropped_for(message.rejection.value)
            )
        return self._name_of(before)

    def _finished(self, task: FinishedTask | CountedTask) -> str | None:
        page, place = self._tasks.row(task.pool_seq)
        before = page.state[place]
        self._become(page, place, _FINISHED)
        return self._name_of(before)

    def _name_of(self, state: int) -> str | None:
        """Return the outcome of an instruction in a state; `None` before it has one."""
        return None if state == _NOTHING else USABLE if state == _USABLE else self._outcomes[state]

    def _dropped_for(self, reason: str) -> int:
        """Return the state of an instruction that was dropped for a reason."""
        if reason not in self._states:
            self._states[reason] = len(self._outcomes)
            self._outcomes.append(reason)
        return self._states[reason]

    def _charge(self, page: _Tasks, place: int, cost: int | None) -> None:
        """Add to the cost of an accepted instruction."""
        if cost:
            before, state = page.cost[place], page.state[place]
            page.cost[place] = before + cost
            self.tasks[self._outcomes[state]] += cost
            if state >= _FINISHED:
                self.task_costs.correct(before, before + cost)

    def _become(self, page: _Tasks, place: int, state: int) -> None:
        """Set the state of an accepted instruction, and move its cost to the outcome of that state."""
        before, cost = page.state[place], page.cost[place]
        page.state[place] = state
        self.tasks[self._outcomes[before]] -= cost
        self.tasks[self._outcomes[state]] += cost
        if before < _FINISHED <= state:
            self.task_costs.add(cost)

    def _pay(self, stage: str, call: Call | PaidCall | None, failed: FailedCall | None) -> int | None:
        """Count a call for the stage and return its cost; None if it is not known."""
        paid = call or failed
        if paid is None:
            return 0
        spent = self._spent(stage, paid.model or UNNAMED)
        if paid.prices is not None:
            self.prices.add(paid.prices)
        return spent.add_failed(paid) if isinstance(paid, FailedCall) else spent.add(paid)

    def _is_repeated(self, stage: str, answered: memoryview, place: int, call: Call | PaidCall) -> bool:
        """Return whether a completion is for an input that already had one; if so, count it as repeated."""
        if not answered[place]:
            answered[place] = 1
            return False
        self.repeated_cost += self._pay(stage, call, None) or 0
        self._spent(stage, call.model).repeated += 1
        return True

    def _spent(self, stage: str, model: str) -> Spent:
        models = self.models.get(stage)
        if models is None:
            models = self.models[stage] = {}
        spent = models.get(model)
        if spent is None:
            spent = models[model] = Spent()
        return spent

    _ADD: ClassVar[Mapping[type[Message], Callable[[Any, Any], str | None]]] = {
        Answer: _answered,
        PaidAnswer: _answered,
        FailedPrompt: _failed,
        Decision: _decided,
        CountedDecision: _decided,
        ClassifiedInstruction: _classified,
        PaidClassification: _classified,
        TaskInstances: _written,
        PaidInstances: _written,
        FinishedTask: _finished,
        CountedTask: _finished,
        CallsDropped: _dropped,
    }


def _fate(decision: Decision | CountedDecision) -> tuple[str, ...]:
    """Return the outcome of each candidate of a prompt, sorted; the outcome of the prompt if it has no candidates."""
    if decision.failure is not None:
        return (FAILED,)
    names = [ACCEPTED if verdict.reason is None else verdict.reason._value_ for verdict in decision.verdicts]
    return tuple(sorted(names)) or (NO_CANDIDATES,)
