"""How far a run has got: a fold over its messages, for the panel, for `status`, and for the prompt producer."""

from collections import Counter
from dataclasses import dataclass, field

from service.messages import (
    Answer,
    Call,
    ClassifiedInstruction,
    Decision,
    FinishedTask,
    GoalSet,
    Message,
    Origin,
    PooledTask,
    Prompt,
    RunDefined,
    RunEnded,
    TaskInstances,
)
from service.selfinstruct.tasks import InstanceReason


@dataclass(slots=True)
class Spent:
    """What the calls of one stage took. `unpriced` and `uncounted` calls came without a price or without usage."""

    calls: int = 0
    attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0

    def add(self, call: Call) -> None:
        """Count one recorded call."""
        self.calls += 1
        self.attempts += call.attempts
        if call.usage is None:
            self.uncounted += 1
        else:
            self.prompt_tokens += call.usage.prompt_tokens
            self.completion_tokens += call.usage.completion_tokens
        if call.cost_usd is None:
            self.unpriced += 1
        else:
            self.cost_usd += call.cost_usd


@dataclass(slots=True)
class Progress:
    """Counts over the log of one run. Feed it every message of the topics it is to know of, in any order."""

    defined: RunDefined | None = None
    goal: GoalSet | None = None
    ended: RunEnded | None = None
    seeds: int = 0
    pool: int = 0
    prompts: int = 0
    decided: int = 0
    failed_prompts: int = 0
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    finished: int = 0
    instances: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    fruitless: int = 0
    pool_promised: int = 0
    spent: dict[str, Spent] = field(default_factory=dict)
    _outcomes: dict[str, InstanceReason | None] = field(default_factory=dict)

    @property
    def target(self) -> int:
        """Return how many finished tasks are wanted; 0 before a goal was set."""
        return self.goal.target if self.goal is not None else 0

    @property
    def reached(self) -> bool:
        """Return whether there are as many finished tasks as wanted."""
        return self.goal is not None and self.finished >= self.goal.target

    @property
    def candidates(self) -> int:
        """Return how many candidates have been judged."""
        return self.accepted + self.rejected.total()

    @property
    def outstanding(self) -> int:
        """Return how many prompts have no decision yet."""
        return self.prompts - self.decided

    @property
    def pending(self) -> int:
        """Return how many accepted instructions are neither finished nor dropped yet."""
        return self.accepted - self.finished - self.dropped.total()

    def apply(self, message: Message) -> None:
        """Count one message."""
        match message:
            case Decision():
                self._decided(message)
            case PooledTask():
                self.pool += 1
                self.seeds += message.origin is Origin.HUMAN
            case Prompt():
                self.prompts += 1
            case FinishedTask():
                self._finish(message)
            case TaskInstances():
                self._completed(message)
            case Answer() | ClassifiedInstruction():
                self._spend("generate" if isinstance(message, Answer) else "classify", message.call)
            case _:
                self._controlled(message)

    def _controlled(self, message: Message) -> None:
        match message:
            case RunDefined():
                self.defined = message
            case GoalSet():
                self.goal, self.ended = message, None
            case RunEnded() if message.target == self.target:
                self.ended = message
            case _:
                pass

    def _decided(self, decision: Decision) -> None:
        self.decided += 1
        self.failed_prompts += decision.failure is not None
        self.accepted += decision.accepted
        self.rejected.update(verdict.reason.value for verdict in decision.verdicts if verdict.reason is not None)
        self.fruitless = 0 if decision.accepted else self.fruitless + 1
        self.pool_promised = max(self.pool_promised, decision.pool_size)

    def _finish(self, task: FinishedTask) -> None:
        self.finished += 1
        self.instances += len(task.instances)
        if (reason := self._outcomes.get(task.id)) is not None:
            self.dropped = self.dropped - Counter([reason.value])
        self._outcomes[task.id] = None

    def _completed(self, message: TaskInstances) -> None:
        """Count the first outcome of an instruction; a second, better one counts where it is finished."""
        self._spend("instances", message.call)
        if message.id not in self._outcomes:
            self._outcomes[message.id] = message.rejection
            if message.rejection is not None:
                self.dropped[message.rejection.value] += 1

    def _spend(self, stage: str, call: Call | None) -> None:
        if call is not None:
            self.spent.setdefault(stage, Spent()).add(call)
