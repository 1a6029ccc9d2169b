"""The whole records of a damaged run, as far as the new run needs to know before it is written."""

from dataclasses import dataclass, field

from service.messaging.broker import Partition
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
    RunEnded,
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
    `queues` holds the tasks with good instances in the order in which they were finished, by partition. `again` holds
    those that were certainly finished and whose own record is lost; they follow from their instances.
    `made_by` holds the digests of recipe and templates by which the tasks were made, and `topics` the topic of each
    prompt that has one; `unreadable` counts whole records that are no messages.
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
    queues: dict[Partition, list[str]] = field(default_factory=dict)
    again: list[str] = field(default_factory=list)
    made_by: set[tuple[str, str]] = field(default_factory=set)
    topics: dict[str, str] = field(default_factory=dict)
    unreadable: int = 0
    ended_with: int = 0
    _human: set[str] = field(default_factory=set)

    @property
    def machine(self) -> list[str]:
        """The ids of the accepted machine-written tasks that are left."""
        return [name for name in self.pool if name not in self._human]

    @property
    def tasks_before(self) -> int:
        """Number of finished tasks of the damaged run, as far as whole tasks and the run's ends tell."""
        return max(max(self.tasks.values(), default=-1) + 1, self.ended_with)

    @property
    def came_back(self) -> int:
        """Number of tasks that were finished in the damaged run, and are in the new one."""
        return len(self.tasks) + len(self.again)

    @property
    def is_exact(self) -> bool:
        """Whether all tasks that came back are known; else some of those finished anew may be among the lost ones."""
        ended_whole = self.ended_with <= max(self.tasks.values(), default=-1) + 1
        return self.came_back == self.tasks_before or (len(self.queues) == 1 and ended_whole)

    @property
    def lost_numbers(self) -> list[int]:
        """The numbers among which those of the lost finished tasks are; some may belong to tasks of `again`."""
        return sorted(set(range(self.tasks_before)) - set(self.tasks.values()))

    @property
    def maybe_lost(self) -> list[str]:
        """The ids among which those of the lost finished tasks are, as far as they are known, in the old order."""
        names = self._without_instances()
        if not self.is_exact:
            names |= {name for queue in self.queues.values() for name in queue}
        known = {**self.accepted, **self.pool}
        return sorted(names - self.tasks.keys() - set(self.again), key=lambda name: known.get(name, 0))

    def apply(self, message: Message, partition: Partition | None = None) -> None:
        """Take a message of the damaged run."""
        if isinstance(message, TaskInstances) and partition is not None and message.rejection is None:
            self.queues.setdefault(partition, []).append(message.id)
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
        """Tell which tasks were finished, and leave out Alpaca's tasks whose instance is lost. Call this at the end."""
        is_alpaca = self.definition is not None and not self.definition.recipe.has_classification_step
        if is_alpaca and len(self.queues) == 1:  # one partition has them in the order of the pool
            (queue,) = self.queues.values()
            queue[:] = sorted({*queue, *self.instances}, key=self.pool.__getitem__)
        self._finish_again()
        for name in self.machine if is_alpaca else ():
            if name not in self.written and name not in self.tasks and name not in self.instances:
                del self.pool[name]
                self.spare.pop(name, None)

    def _finish_again(self) -> None:
        """Fill `again`: a task was finished if a later one of its partition was, as partitions are read in order.

        Those behind the last whole finished task of a partition are certain only if no instances are lost.
        """
        missing = self.tasks_before - len(self.tasks)
        unsure: list[str] = []
        for queue in self.queues.values():
            behind = max((place for place, name in enumerate(queue) if name in self.tasks), default=-1) + 1
            self.again += [name for name in dict.fromkeys(queue[:behind]) if name not in self.tasks]
            unsure += dict.fromkeys(queue[behind:])
        if len(self.queues) == 1 and not self._without_instances() and not self._has_holes():
            self.again += unsure
        del self.again[missing:]

    def _without_instances(self) -> set[str]:
        """Return the accepted tasks without a record of their instances: never written, or lost."""
        return {*self.machine, *self.accepted} - self.written - self.instances.keys() - self.tasks.keys()

    def _has_holes(self) -> bool:
        return len(self.pool) <= max(self.pool.values(), default=-1)

    def _control(self, message: Message) -> None:
        match message:
            case RunDefined():
                self.definition = self.definition or message
            case GoalSet():
                self.goal = message
            case CallsDropped():
                self.dropped.append(message)
            case RunEnded():
                self.ended_with = max(self.ended_with, message.finished)
            case FailedPrompt():
                self.answered.add(message.prompt_id)
            case _:
                pass

    def _pooled(self, task: PooledTask) -> None:
        self.pool[task.id] = task.pool_seq
        if task.provenance is not None:
            self.made_by.add((task.provenance.recipe, task.provenance.templates))
            self._note_topic(task)
        if task.origin is Origin.HUMAN:
            self._human.add(task.id)
            self.seeds.add(task.id)

    def _note_topic(self, task: MachineTask | PooledTask) -> None:
        if task.provenance is not None and task.provenance.topic is not None:
            self.topics[task.provenance.prompt_id] = task.provenance.topic

    def _decided(self, decision: Decision) -> None:
        self.decided.add(decision.prompt_id)
        first = decision.pool_size - decision.accepted
        names = (verdict.id for verdict in decision.verdicts if verdict.reason is None)
        self.accepted |= {name: first + place for place, name in enumerate(names)}

    def _worked_on(self, task: MachineTask) -> None:
        if task.id not in self.pool:
            self._note_topic(task)
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
