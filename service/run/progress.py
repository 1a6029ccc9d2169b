"""The progress of a run: counts over its messages, for the live panel, for `status` and for the prompt producer.

Prompts, tasks and seeds among the dead letters are stuck. They do not count as outstanding, pending or awaited, until a
decision or a result arrives all the same.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Literal

from service.billing.bill import Bill
from service.billing.totals import Spent
from service.containers import DenseSet
from service.messaging.dead_letters import DeadLetter
from service.messaging.messages import (
    Decision,
    FinishedTask,
    GoalSet,
    Message,
    Origin,
    PooledTask,
    Prompt,
    RunDefined,
    RunEnded,
    SubmittedSeed,
    TaskInstances,
    TopicIds,
)
from service.messaging.topics import CANDIDATES, PROMPTS
from service.selfinstruct.tasks import InstanceReason

_SEEDS = SubmittedSeed.ce_type.rpartition("v")[0]
_PROMPT_ID = re.compile("p(0|[1-9][0-9]{0,17})")

Outcome = InstanceReason | Literal["usable", "finished"]


@dataclass(slots=True)
class Progress:
    """Counts over the log of a run. `apply` takes all messages of the topics to count, with the topics in any order.

    `classification` is the number of finished classification tasks. `fruitless` is the number of prompts in a row
    without an accepted task, `fruitless_tasks` that of accepted tasks in a row that could not be finished.
    `dead_letters` counts, by topic, the dead letters that have not been put back. `bill` holds the costs. `unread`
    counts, by topic, the records that are missing in all of this, since only a newer version can read them.
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
    unread: Counter[str] = field(default_factory=Counter, compare=False)
    _next_seq: int = 0
    _taken: DenseSet = field(default_factory=DenseSet, compare=False)
    _issued: DenseSet = field(default_factory=DenseSet, compare=False)
    _decided: DenseSet = field(default_factory=DenseSet, compare=False)
    _accepted: set[str] = field(default_factory=set)
    _outcomes: dict[str, Outcome] = field(default_factory=dict)
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
        return len(self._dead_tasks & self._accepted)

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

    def apply(self, message: Message) -> None:
        """Update the counts from a message."""
        self.bill.apply(message)
        match message:
            case Prompt():
                self._issue(message.seq)
            case Decision():
                self._decide(message)
            case PooledTask():
                self._pool(message)
            case FinishedTask():
                self._finish(message)
            case TaskInstances():
                self._complete(message)
            case DeadLetter():
                self._bury(message)
            case _:
                self._control(message)

    def _control(self, message: Message) -> None:
        match message:
            case RunDefined():
                self.defined = message
            case GoalSet():
                self.goal, self.ended = message, None
            case RunEnded() if message.target == self.target and message.goal in (None, self.goal):
                self.ended = message
            case TopicIds():
                self.topic_ids = message
            case _:
                pass

    def _take(self, seq: int) -> None:
        self._taken.add(seq)
        while self._next_seq in self._taken:
            self._next_seq += 1

    def _issue(self, seq: int) -> None:
        """Count a prompt once, however often its record or decision occurs."""
        self._take(seq)
        if seq not in self._issued:
            self._issued.add(seq)
            self.prompts += 1

    def _pool(self, task: PooledTask) -> None:
        self.pool += 1
        if task.origin is Origin.HUMAN:
            self.seeds += 1
            self._human.add(task.id)

    def _decide(self, decision: Decision) -> None:
        self._issue(decision.prompt_seq)
        self._decided.add(decision.prompt_seq)
        self._dead_prompts.discard(decision.prompt_seq)
        self.decided += 1
        self.failed_prompts += decision.failure is not None
        self.accepted += decision.accepted
        self._accepted.update(verdict.id for verdict in decision.verdicts if verdict.reason is None)
        self.rejected.update(verdict.reason.value for verdict in decision.verdicts if verdict.reason is not None)
        self.fruitless = 0 if decision.accepted else self.fruitless + 1
        self.pool_promised = max(self.pool_promised, decision.pool_size)

    def _finish(self, task: FinishedTask) -> None:
        self.finished += 1
        self.classification += task.is_classification is True
        self.instances += len(task.instances)
        if isinstance(reason := self._outcomes.get(task.id), InstanceReason):
            self.dropped = self.dropped - Counter([reason.value])
        self.usable += self._outcomes.get(task.id) != "usable"
        self._outcomes[task.id] = "finished"
        self._dead_tasks.discard(task.id)

    def _complete(self, message: TaskInstances) -> None:
        """Count the first outcome of an instruction; a later, better one counts once the task is finished."""
        if message.rejection is None:
            self.fruitless_tasks = 0
        if message.id not in self._outcomes:
            self._outcomes[message.id] = message.rejection or "usable"
            self.usable += message.rejection is None
            if message.rejection is not None:
                self.fruitless_tasks += 1
                self.dropped[message.rejection.value] += 1
                self._dead_tasks.discard(message.id)

    def _bury(self, letter: DeadLetter) -> None:
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
            if self._outcomes.get(letter.id, "usable") == "usable":
                self._dead_tasks.add(letter.id)
        elif (letter.kind or "").startswith(_SEEDS):
            self._dead_seeds.add(letter.id)
        elif (seq := seq_of(letter.id)) is not None and seq not in self._decided:
            self._dead_prompts.add(seq)


def seq_of(prompt_id: str) -> int | None:
    """Return the sequence number in a prompt id, or `None` if it is not a prompt id."""
    match = _PROMPT_ID.fullmatch(prompt_id)
    return int(match[1]) if match is not None else None
