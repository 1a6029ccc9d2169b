"""What is whole of a damaged run, as far as the new run needs to know before it is written."""

from dataclasses import dataclass, field

from service.messaging.messages import (
    Answer,
    CallsDropped,
    ClassifiedInstruction,
    Decision,
    FailedPrompt,
    FinishedTask,
    GoalSet,
    Instruction,
    Message,
    Origin,
    PooledTask,
    RunDefined,
    SubmittedSeed,
    TaskInstances,
)
from service.pool.batch import work_of

MachineTask = Instruction | ClassifiedInstruction | TaskInstances | FinishedTask


@dataclass(slots=True)
class Salvaged:
    """The ids of a run's whole records. `apply` takes the messages of the candidates after those of the later topics.

    `pool` and `tasks` hold the old numbers; `accepted` those of all tasks that the decisions accepted. `spare` holds
    accepted tasks that the pool lacks, `instances` the instances of Alpaca tasks that are lost but stand in an answer.
    `made_by` holds the digests of recipe and templates by which the tasks were made; `unreadable` counts whole records
    that are no messages.
    """

    definition: RunDefined | None = None
    goal: GoalSet | None = None
    dropped: list[CallsDropped] = field(default_factory=list)
    pool: dict[str, int] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    seeds: set[str] = field(default_factory=set)
    accepted: dict[str, int] = field(default_factory=dict)
    decided: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    classified: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    spare: dict[str, MachineTask] = field(default_factory=dict)
    instances: dict[str, TaskInstances] = field(default_factory=dict)
    made_by: set[tuple[str, str]] = field(default_factory=set)
    unreadable: int = 0
    _human: set[str] = field(default_factory=set)

    @property
    def machine(self) -> list[str]:
        """The ids of the accepted machine-written tasks that are left."""
        return [name for name in self.pool if name not in self._human]

    @property
    def tasks_before(self) -> int:
        """Number of finished tasks of the damaged run, as far as known: its last number is that of a whole task."""
        return max(self.tasks.values(), default=-1) + 1

    def apply(self, message: Message) -> None:
        """Take a message of the damaged run."""
        match message:
            case PooledTask():
                self._pooled(message)
            case Decision():
                self._decided(message)
            case Instruction() | ClassifiedInstruction() | TaskInstances() | FinishedTask():
                self._worked_on(message)
            case Answer():
                self._answered(message)
            case SubmittedSeed():
                self.seeds.add(message.id)
            case _:
                self._control(message)

    def settle(self) -> None:
        """Leave out what cannot be finished: Alpaca's tasks whose instance is lost. Call this after all messages."""
        if self.definition is None or self.definition.recipe.has_classification_step:
            return
        for name in self.machine:
            if name not in self.written and name not in self.tasks and name not in self.instances:
                del self.pool[name]
                self.spare.pop(name, None)

    def _control(self, message: Message) -> None:
        match message:
            case RunDefined():
                self.definition = self.definition or message
            case GoalSet():
                self.goal = message
            case CallsDropped():
                self.dropped.append(message)
            case FailedPrompt():
                self.answered.add(message.prompt_id)
            case _:
                pass

    def _pooled(self, task: PooledTask) -> None:
        self.pool[task.id] = task.pool_seq
        if task.provenance is not None:
            self.made_by.add((task.provenance.recipe, task.provenance.templates))
        if task.origin is Origin.HUMAN:
            self._human.add(task.id)
            self.seeds.add(task.id)

    def _decided(self, decision: Decision) -> None:
        self.decided.add(decision.prompt_id)
        first = decision.pool_size - decision.accepted
        names = (verdict.id for verdict in decision.verdicts if verdict.reason is None)
        self.accepted |= {name: first + place for place, name in enumerate(names)}

    def _worked_on(self, task: MachineTask) -> None:
        if task.id not in self.pool:
            self.spare[task.id] = task
            self.pool[task.id] = task.pool_seq
        match task:
            case ClassifiedInstruction():
                self.classified.add(task.id)
            case TaskInstances():
                self.written.add(task.id)
            case FinishedTask():
                self.tasks[task.id] = task.task_seq
            case _:
                pass

    def _answered(self, answer: Answer) -> None:
        self.answered.add(answer.prompt_id)
        if self.definition is None:
            return
        for candidate in answer.candidates:
            name = f"{answer.prompt_id}.{candidate.position}"
            number = self.pool.get(name, self.accepted.get(name))
            if number is None or name in self.written or name in self.tasks:
                continue
            work = work_of(answer, candidate, number, self.definition.recipe)
            if name not in self.pool:
                self.spare[name] = work
                self.pool[name] = number
            if isinstance(work, TaskInstances):
                self.instances[name] = work
