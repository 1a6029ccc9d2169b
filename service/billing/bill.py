"""The bill of a run: the cost of its calls by stage and by outcome, as a fold over its messages.

The candidates of a prompt share the cost of its completion equally; each was accepted, or rejected for a reason. The
cost of completing an accepted instruction is that of its calls, whether it was finished or dropped. Calls paid for a
second time have an outcome of their own. So the sum over outcomes always equals the sum over stages, to the last
picodollar.

The topics may be interleaved in any order. A cost waits for its outcome, and an outcome for its cost, in a table of
rows, which takes some twenty bytes per prompt or accepted instruction.
"""

from collections import Counter
from dataclasses import asdict, dataclass, field

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
    Decision,
    FailedCall,
    FailedPrompt,
    FinishedTask,
    Message,
    TaskInstances,
)
from service.selfinstruct.tasks import InstanceReason

GENERATE, CLASSIFY, INSTANCES = "generate", "classify", "instances"
ACCEPTED, NO_CANDIDATES, FAILED, UNDECIDED = "accepted", "no_candidates", "failed", "undecided"
USABLE, FINISHED, PENDING = "usable", "finished", "pending"
CALL_FAILED = InstanceReason.CALL_FAILED.value
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
    _fates: dict[tuple[str, ...], int] = field(default_factory=dict, compare=False)
    _fate_of_number: list[tuple[str, ...]] = field(default_factory=list, compare=False)
    _prompts: PagedTable[_Prompts] = field(default_factory=lambda: PagedTable(_Prompts, _PROMPTS), compare=False)
    _tasks: PagedTable[_Tasks] = field(default_factory=lambda: PagedTable(_Tasks, _TASKS), compare=False)
    _outcomes: list[str] = field(default_factory=lambda: [PENDING, PENDING, FINISHED], compare=False)
    _states: dict[str, int] = field(default_factory=dict, compare=False)

    @property
    def total(self) -> Spent:
        """Return the sum over all stages."""
        return sum(self.stages.values(), Spent())

    def outcome(self, pool_seq: int) -> str | None:
        """Return the outcome of an accepted instruction: "usable", `FINISHED` or a reason; `None` before it has one."""
        page, place = self._tasks.look(pool_seq)
        state = _NOTHING if page is None else page.state[place]
        return None if state == _NOTHING else USABLE if state == _USABLE else self._outcomes[state]

    def snapshot(self) -> State:
        """Return the state of this bill; `restored` makes the same bill of it."""
        values = {
            "stages": {stage: asdict(spent) for stage, spent in self.stages.items()},
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
            stages={stage: Spent(**spent) for stage, spent in values["stages"].items()},
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
                self._become(*self._tasks.row(message.pool_seq), _FINISHED)
            case CallsDropped():
                self._dropped(message)
            case _:
                pass

    def _dropped(self, message: CallsDropped) -> None:
        """Count the cost of dropped calls as failed; the calls are made again."""
        cost = self._pay(message.stage, None, message.spent)
        fates, fate = (self.candidates, FAILED) if message.stage == GENERATE else (self.tasks, CALL_FAILED)
        fates[fate] += cost or 0

    def _generated(self, message: Answer | FailedPrompt) -> None:
        """Count a call for a prompt. Only the first record is decided on; the cost of a second one counts as failed."""
        call = message.call if isinstance(message, Answer) else None
        page, place = self._prompts.row(message.prompt_seq)
        if call is not None and self._is_repeated(GENERATE, page.answered, place, call):
            return
        cost = self._pay(GENERATE, call, message.spent if isinstance(message, FailedPrompt) else None)
        if page.cost[place]:
            self.candidates[FAILED] += cost or 0
            return
        page.cost[place] = _UNKNOWN if cost is None else cost + 1
        if cost is not None:
            self.prompt_costs.add(cost)
        self.candidates[UNDECIDED] += cost or 0
        self.awaited -= bool(page.fate[place])
        self._join(page, place)

    def _decided(self, decision: Decision) -> None:
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
        if fate not in self._fates:
            self._fate_of_number.append(fate)
            self._fates[fate] = len(self._fate_of_number)
        return self._fates[fate]

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

    def _completed(self, message: ClassifiedInstruction | TaskInstances) -> None:
        page, place = self._tasks.row(message.pool_seq)
        stage, answered = (
            (CLASSIFY, page.classified) if isinstance(message, ClassifiedInstruction) else (INSTANCES, page.written)
        )
        if message.call is None or not self._is_repeated(stage, answered, place, message.call):
            self._charge(page, place, self._pay(stage, message.call, message.spent) or 0)
        if isinstance(message, TaskInstances) and page.state[place] == _NOTHING:
            self._become(
                page, place, _USABLE if message.rejection is None else self._dropped_for(message.rejection.value)
            )

    def _dropped_for(self, reason: str) -> int:
        """Return the state of an instruction that was dropped for a reason."""
        if reason not in self._states:
            self._states[reason] = len(self._outcomes)
            self._outcomes.append(reason)
        return self._states[reason]

    def _charge(self, page: _Tasks, place: int, cost: int) -> None:
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

    def _pay(self, stage: str, call: Call | None, failed: FailedCall | None) -> int | None:
        """Count a call for the stage and return its cost; None if it is not known."""
        cost: int | None = 0
        for each in (call, failed):
            if each is not None:
                if (spent := self.stages.get(stage)) is None:
                    spent = self.stages[stage] = Spent()
                cost = spent.add(each) if isinstance(each, Call) else spent.add_failed(each)
                if each.prices is not None:
                    self.prices.add(each.prices)
        return cost

    def _is_repeated(self, stage: str, answered: memoryview, place: int, call: Call) -> bool:
        """Return whether a completion is for an input that already had one; if so, count it as repeated."""
        if not answered[place]:
            answered[place] = 1
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
