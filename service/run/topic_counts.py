"""Counts over the messages of a run by topic of its subject, in the units of `Progress`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from service.checkpoints import State
from service.containers import PagedTable
from service.messaging.ids import numbers_of
from service.messaging.messages import (
    CountedDecision,
    CountedTask,
    Decision,
    FinishedTask,
    PaidInstances,
    TaskInstances,
)


@dataclass(slots=True)
class TopicCount:
    """Counts of one topic. `fruitless` counts its prompts in a row without an accepted task.

    `fruitless_tasks` counts its accepted tasks in a row that could not be finished.
    """

    prompts: int = 0
    decided: int = 0
    candidates: int = 0
    accepted: int = 0
    usable: int = 0
    finished: int = 0
    dropped: int = 0
    fruitless: int = 0
    fruitless_tasks: int = 0


@dataclass(slots=True)
class _Prompts:
    """A page of prompts: the number of the topic of each, from 1; 0 for a prompt without a topic."""

    topic: memoryview


_COLUMNS = {"topic": "H"}


class TopicCounts:
    """The counts of each topic that messages name; nothing is stored for a run without topics."""

    def __init__(self) -> None:
        self._counts: dict[str, TopicCount] = {}
        self._numbers: dict[str, int] = {}
        self._prompts = PagedTable(_Prompts, _COLUMNS)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TopicCounts) and self._counts == other._counts

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, topic: str) -> TopicCount:
        """Return the counts of a topic, to be read."""
        return self._counts.get(topic) or TopicCount()

    def items(self) -> Iterable[tuple[str, TopicCount]]:
        """Return the topics that messages named, with their counts."""
        return self._counts.items()

    def try_again(self) -> None:
        """Forget failures in a row."""
        for each in self._counts.values():
            each.fruitless = each.fruitless_tasks = 0

    def issue(self, seq: int, topic: str | None) -> None:
        """Count a prompt once, however often its record or decision occurs."""
        if topic is not None:
            page, place = self._prompts.row(seq)
            if not page.topic[place]:
                self._of(topic).prompts += 1
                page.topic[place] = self._numbers[topic]

    def decide(self, decision: Decision | CountedDecision) -> None:
        """Count a decision."""
        self.issue(decision.prompt_seq, decision.topic)
        if decision.topic is not None:
            count, accepted = self._of(decision.topic), decision.accepted
            count.decided += 1
            count.candidates += len(decision.verdicts)
            count.accepted += accepted
            count.fruitless = 0 if accepted else count.fruitless + 1

    def complete(self, message: TaskInstances | PaidInstances, *, is_first: bool) -> None:
        """Count an outcome of an instruction, which may have had one before."""
        if (topic := message.provenance.topic) is None:
            return
        count, is_usable = self._of(topic), message.rejection is None
        if is_usable:
            count.fruitless_tasks = 0
        if is_first:
            count.usable += is_usable
            count.dropped += not is_usable
            count.fruitless_tasks += not is_usable

    def finish(self, task: FinishedTask | CountedTask, *, was_dropped: bool, was_usable: bool) -> None:
        """Count a finished task, with its outcome before."""
        if task.topic is not None:
            count = self._of(task.topic)
            count.finished += 1
            count.dropped -= was_dropped
            count.usable += not was_usable

    def of_prompts(self, seqs: Iterable[int]) -> Counter[str]:
        """Return the number of these prompts by topic."""
        names = list(self._numbers)
        found: Counter[str] = Counter()
        for seq in seqs:
            page, place = self._prompts.look(seq)
            if page is not None and page.topic[place]:
                found[names[page.topic[place] - 1]] += 1
        return found

    def of_tasks(self, ids: Iterable[str]) -> Counter[str]:
        """Return the number of these tasks by the topic of their prompts."""
        return self.of_prompts(numbers[0] for name in ids if (numbers := numbers_of(name)) is not None)

    def snapshot(self) -> State:
        """Return the state of these counts."""
        return State(
            {"counts": {name: asdict(count) for name, count in self._counts.items()}},
            self._prompts.snapshot("topics"),
        )

    @classmethod
    def restored(cls, state: State) -> "TopicCounts":
        """Return the counts whose state `snapshot` returned."""
        topics = cls()
        for name, count in state.values["counts"].items():
            topics._counts[name] = TopicCount(**count)
            topics._numbers[name] = len(topics._numbers) + 1
        topics._prompts.restore("topics", state.arrays)
        return topics

    def _of(self, topic: str) -> TopicCount:
        if topic not in self._counts:
            self._counts[topic] = TopicCount()
            self._numbers[topic] = len(self._numbers) + 1
        return self._counts[topic]
