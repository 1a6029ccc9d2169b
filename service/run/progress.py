"""The progress of a run: counts over its messages, for the live panel, for `status` and for the prompt producer.

Prompts, tasks and seeds among the dead letters are stuck. They do not count as outstanding, pending or awaited, until a
decision or a result arrives all the same.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any, ClassVar

from service.billing.bill import FINISHED, USABLE, Bill
from service.billing.totals import Spent
from service.checkpoints import State
from service.containers import DenseSet
from service.messaging import codec
from service.messaging.broker import Partition, Record
from service.messaging.dead_letters import DeadLetter
from service.messaging.ids import seq_of
from service.messaging.messages import (
    CountedDecision,
    CountedPrompt,
    CountedTask,
    Decision,
    FinishedTask,
    GoalSet,
    Message,
    Origin,
    PaidInstances,
    PooledTask,
    PooledText,
    Prompt,
    RunDefined,
    RunEnded,
    ShownTask,
    SubmittedSeed,
    TaskInstances,
    TopicIds,
)
from service.messaging.task_ids import TaskIdSet
from service.messaging.topics import CANDIDATES, CONTROL, PROMPTS
from service.run.topic_counts import TopicCounts

_SEEDS = SubmittedSeed.ce_type.rpartition("v")[0]

# The fields in a snapshot; a change of their meaning needs another version of `progress_reader.PROGRESS`.
_COUNTS = (
    "seeds",
    "pool",
    "prompts",
    "decided",
    "failed_prompts",
    "accepted",
    "finished",
    "classification",
    "instances",
    "usable",
    "fruitless",
    "fruitless_tasks",
    "pool_promised",
    "_next_seq",
)
_COUNTERS = ("rejected", "dropped", "unread")
_MESSAGES = ("defined", "goal", "ended", "topic_ids")
_NUMBERS = ("_taken", "_issued", "_decided")
_IDS = ("_accepted", "_ended")


@dataclass(slots=True)
class Progress:
    """Counts over the log of a run. `apply` takes all messages of the topics to count, with the topics in any order.

    `classification` is the number of finished classification tasks. `fruitless` is the number of prompts in a row
    without an accepted task, `fruitless_tasks` that of accepted tasks in a row that could not be finished.
    `dead_letters` counts, by topic, the dead letters that have not been put back. `bill` holds the costs, `topics` the
    counts by topic of the run's subject. `unread` counts, by topic of the log, the records that are missing in all of
    this, since only a newer version can read them.
    """

    defined: RunDefined | None = None
    goal: GoalSet | None = None
    ended: RunEnded | None = None
    topic_ids: TopicIds | None = None
    seeds: int = 0
    pool: int = 0
    prompts: int = 0
    decided: int = 0
    failed_prompts: int = 0
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    finished: int = 0
    classification: int = 0
    instances: int = 0
    usable: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    fruitless: int = 0
    fruitless_tasks: int = field(default=0, compare=False)
    pool_promised: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    bill: Bill = field(default_factory=Bill)
    topics: TopicCounts = field(default_factory=TopicCounts)
    unread: Counter[str] = field(default_factory=Counter, compare=False)
    _next_seq: int = 0
    _taken: DenseSet = field(default_factory=DenseSet, compare=False)
    _issued: DenseSet = field(default_factory=DenseSet, compare=False)
    _decided: DenseSet = field(default_factory=DenseSet, compare=False)
    _accepted: TaskIdSet = field(default_factory=TaskIdSet, compare=False)
    _ended: TaskIdSet = field(default_factory=TaskIdSet, compare=False)
    _dead_prompts: set[int] = field(default_factory=set)
    _dead_tasks: set[str] = field(default_factory=set)
    _dead_seeds: set[str] = field(default_factory=set)
    _human: set[str] = field(default_factory=set)
    _buried: set[str] = field(default_factory=set)

    @property
    def target(self) -> int:
        """Target of the current goal, in finished tasks; 0 before a goal is set."""
        return self.goal.target if self.goal is not None else 0

    @property
    def reached(self) -> bool:
        """Whether the number of finished tasks has reached the target."""
        return self.goal is not None and self.finished >= self.goal.target

    @property
    def paused(self) -> bool:
        """Whether the run is paused short of its end."""
        return self.goal is not None and self.goal.paused and self.ended is None

    @property
    def candidates(self) -> int:
        """Number of candidates with a verdict."""
        return self.accepted + self.rejected.total()

    @property
    def outstanding(self) -> int:
        """Number of prompts that have no decision yet and are not stuck."""
        return self.prompts - self.decided - self.stuck_prompts

    @property
    def pending(self) -> int:
        """Number of accepted instructions that are neither finished nor dropped nor stuck."""
        return self.accepted - self.finished - self.dropped.total() - self.stuck_tasks

    @property
    def stuck_prompts(self) -> int:
        """Number of prompts without a decision because they or their answers are among the dead letters."""
        return sum(seq in self._issued for seq in self._dead_prompts)

    @property
    def stuck_tasks(self) -> int:
        """Number of accepted instructions that are among the dead letters of a later stage."""
        return sum(name in self._accepted for name in self._dead_tasks)

    @property
    def outstanding_by_topic(self) -> Counter[str]:
        """Number of prompts of each topic that have no decision yet and are not stuck."""
        stuck = self.topics.of_prompts(seq for seq in self._dead_prompts if seq in self._issued)
        return Counter({name: each.prompts - each.decided - stuck[name] for name, each in self.topics.items()})

    @property
    def pending_by_topic(self) -> Counter[str]:
        """Number of accepted instructions of each topic that are neither finished nor dropped nor stuck."""
        stuck = self.topics.of_tasks(name for name in self._dead_tasks if name in self._accepted)
        return Counter(
            {name: each.accepted - each.finished - each.dropped - stuck[name] for name, each in self.topics.items()}
        )

    @property
    def stuck_seeds(self) -> int:
        """Number of seeds that are among the dead letters and not in the pool."""
        return len(self._dead_seeds - self._human)

    @property
    def awaits_seeds(self) -> bool:
        """Whether a seed of the definition is on its way to the pool: neither there nor stuck."""
        return self.defined is None or self.seeds + self.stuck_seeds < self.defined.seed_count

    @property
    def spent(self) -> dict[str, Spent]:
        """Calls, tokens and cost of each stage."""
        return self.bill.stages

    @property
    def paid_twice(self) -> int:
        """Number of calls for an input that already had a completion."""
        return sum(each.repeated for each in self.spent.values())

    def free_seqs(self, wanted: int) -> list[int]:
        """Return the lowest `wanted` sequence numbers that no prompt has."""
        return list(islice((seq for seq in count(self._next_seq) if seq not in self._taken), wanted))

    def reserve(self, prompt_id: str, *, issued: bool = False) -> None:
        """Reserve the sequence number of a prompt whose record is unreadable, so that no other prompt gets it.

        With `issued`, the prompt counts like one that was read.
        """
        if (seq := seq_of(prompt_id)) is not None:
            (self._issue if issued else self._take)(seq)

    def snapshot(self) -> State:
        """Return the state of these counts, without all that comes from dead letters.

        Whether a dead letter was put back is known only when they are read, so that they are read every time.
        """
        bill, topics = self.bill.snapshot(), self.topics.snapshot()
        arrays = {**bill.arrays, **topics.arrays}
        for name in (*_NUMBERS, *_IDS):
            arrays.update(getattr(self, name).snapshot(name))
        values = {
            "bill": bill.values,
            "topics": topics.values,
            "human": list(self._human),
            **{name: getattr(self, name) for name in _COUNTS},
            **{name: dict(getattr(self, name)) for name in _COUNTERS},
            **{name: _as_json(getattr(self, name)) for name in _MESSAGES},
            **{name: list(getattr(self, name).others) for name in _IDS},
        }
        return State(values, arrays)

    @classmethod
    def restored(cls, state: State) -> "Progress":
        """Return the counts whose state `snapshot` returned; the dead letters are to be applied again."""
        values = state.values
        fields: dict[str, Any] = {name: values[name] for name in _COUNTS}
        fields |= {name: Counter(values[name]) for name in _COUNTERS}
        fields |= {name: _of_json(values[name]) for name in _MESSAGES}
        fields["bill"] = Bill.restored(State(values["bill"], state.arrays))
        fields["topics"] = TopicCounts.restored(State(values["topics"], state.arrays))
        progress = cls(_human=set(values["human"]), **fields)
        for name in _NUMBERS:
            getattr(progress, name).restore(name, state.arrays)
        for name in _IDS:
            getattr(progress, name).restore(name, state.arrays, values[name])
        return progress

    def apply(self, message: Message) -> None:
        """Update the counts from a message, or from the part of it that is counted."""
        before = self.bill.apply(message)
        count = self._COUNT.get(type(message))
        if count is not None:
            count(self, message, before)

    def _define(self, defined: RunDefined, _: str | None) -> None:
        self.defined = defined

    def _set(self, goal: GoalSet, _: str | None) -> None:
        self.goal, self.ended = goal, None

    def _rest(self, ended: RunEnded, _: str | None) -> None:
        if ended.target == self.target and ended.goal in (None, self.goal):
            self.ended = ended

    def _name_topics(self, topic_ids: TopicIds, _: str | None) -> None:
        self.topic_ids = topic_ids

    def _take(self, seq: int) -> None:
        self._taken.add(seq)
        if seq == self._next_seq:
            while self._next_seq in self._taken:
                self._next_seq += 1

    def _issue(self, seq: int) -> None:
        """Count a prompt once, however often its record or decision occurs."""
        if self._issued.add(seq):
            self.prompts += 1
            self._take(seq)

    def _prompt(self, prompt: Prompt | CountedPrompt, _: str | None) -> None:
        self._issue(prompt.seq)
        self.topics.issue(prompt.seq, prompt.topic)

    def _pool(self, task: PooledText, _: str | None) -> None:
        self.pool += 1
        if task.origin is Origin.HUMAN:
            self.seeds += 1
            self._human.add(task.id)

    def _decide(self, decision: Decision | CountedDecision, _: str | None) -> None:
        self._issue(decision.prompt_seq)
        self._decided.add(decision.prompt_seq)
        self._dead_prompts.discard(decision.prompt_seq)
        self.decided += 1
        self.failed_prompts += decision.failure is not None
        accepted = 0
        for verdict in decision.verdicts:
            if verdict.reason is None:
                accepted += 1
                self._accepted.add(verdict.id)
            else:
                self.rejected[verdict.reason._value_] += 1
        self.accepted += accepted
        self.fruitless = 0 if accepted else self.fruitless + 1
        self.topics.decide(decision)
        self.pool_promised = max(self.pool_promised, decision.pool_size)

    def _finish(self, task: FinishedTask | CountedTask, before: str | None) -> None:
        """Count a task that is finished; `before` is the outcome that it had until now."""
        self.finished += 1
        self.classification += task.is_classification is True
        self.instances += len(task.instances)
        was_dropped, was_usable = before not in (None, USABLE, FINISHED), before == USABLE
        if before is not None and was_dropped:
            self.dropped = self.dropped - Counter([before])
        self.usable += not was_usable
        self.topics.finish(task, was_dropped=was_dropped, was_usable=was_usable)
        self._end(task.id)

    def _complete(self, message: TaskInstances | PaidInstances, before: str | None) -> None:
        """Count the first outcome of an instruction; a later, better one counts once the task is finished."""
        if message.rejection is None:
            self.fruitless_tasks = 0
        self.topics.complete(message, is_first=before is None)
        if before is None:
            self.usable += message.rejection is None
            if message.rejection is not None:
                self.fruitless_tasks += 1
                self.dropped[message.rejection.value] += 1
                self._end(message.id)

    def _end(self, name: str) -> None:
        """Note that an instruction was finished or dropped: it is no longer stuck."""
        self._ended.add(name)
        self._dead_tasks.discard(name)

    def _bury(self, letter: DeadLetter, _: str | None) -> None:
        """Record a prompt, task or seed as stuck unless its dead letter was put back or it already has an outcome.

        A stage that read its input again may have written a dead letter twice; it counts once.
        """
        if letter.topic == PROMPTS.name:
            self.reserve(letter.id)
        repeated = letter.origin is not None and letter.origin in self._buried
        if letter.origin is not None:
            self._buried.add(letter.origin)
        if not (letter.put_back or repeated):
            self.dead_letters[letter.topic] += 1
            self._get_stuck(letter)

    def _get_stuck(self, letter: DeadLetter) -> None:
        if letter.topic not in (PROMPTS.name, CANDIDATES.name):
            if letter.id not in self._ended:
                self._dead_tasks.add(letter.id)
        elif (letter.kind or "").startswith(_SEEDS):
            self._dead_seeds.add(letter.id)
        elif (seq := seq_of(letter.id)) is not None and seq not in self._decided:
            self._dead_prompts.add(seq)

    _COUNT: ClassVar[Mapping[type[Message], Callable[[Any, Any, str | None], None]]] = {
        Prompt: _prompt,
        CountedPrompt: _prompt,
        Decision: _decide,
        CountedDecision: _decide,
        PooledTask: _pool,
        PooledText: _pool,
        ShownTask: _pool,
        FinishedTask: _finish,
        CountedTask: _finish,
        TaskInstances: _complete,
        PaidInstances: _complete,
        DeadLetter: _bury,
        RunDefined: _define,
        GoalSet: _set,
        RunEnded: _rest,
        TopicIds: _name_topics,
    }


def _as_json(message: Message | None) -> list[str] | None:
    """Return type and value of a message on `control`."""
    return None if message is None else [message.ce_type, message.to_json().decode()]


def _of_json(saved: list[str] | None) -> Any:
    if saved is None:
        return None
    kind, value = saved
    return codec.decode(CONTROL, Record(Partition("", 0), 0, None, value.encode(), (("ce_type", kind.encode()),), 0))
