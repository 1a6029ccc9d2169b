"""The topic of each prompt, drawn so that the finished tasks of a run have the shares of its subject."""

import heapq
from dataclasses import dataclass, field

import structlog
from msgspec import Struct

from service.run.credits import accepted_per_prompt, survival
from service.run.progress import Progress
from service.run.topic_counts import TopicCount

# A topic that never gave a task is set aside after this many failures in a row, or after half of the patience.
_ENOUGH_AT_FIRST = 10
# The weight of the averages of all topics in the estimates of one, in prompts and in tasks.
_PRIOR_PROMPTS, _PRIOR_TASKS = 2.0, 4.0

log = structlog.get_logger()


@dataclass(slots=True)
class TopicDraw:
    """Draws topics. Its decisions depend on the log alone, except that a topic is set aside in this process only.

    A topic that failed half of `patience` times in a row is set `aside`, and the others share its part of the tasks.
    The last one is not: the patience with the whole run ends that. Failures are counted from `try_again` on: a run that
    is started again tries all topics again.
    """

    patience: int
    aside: set[str] = field(default_factory=set)

    def try_again(self, progress: Progress) -> None:
        """Count failures from here, and take back the topics that were set aside."""
        progress.topics.try_again()
        self.aside.clear()

    def set_aside_fruitless(self, progress: Progress) -> None:
        """Set topics aside that fail; the run gets a new chance with the others."""
        active = [topic for topic in _shares(progress) if topic not in self.aside]
        for topic in active:
            why = self._failure(progress.topics[topic])
            if why and len(active) > len(self.aside.intersection(active)) + 1:
                self.aside.add(topic)
                progress.fruitless = progress.fruitless_tasks = 0
                log.warning("topic.set_aside", topic=topic, why=why)

    def waits(self, progress: Progress) -> bool:
        """Return whether tasks are on their way that the next topic depends on.

        A run with one prompt at a time waits for them, so that it is the same each time, however fast its stages are.
        """
        return bool(_shares(progress)) and progress.pending > 0

    def draw(self, progress: Progress, count: int) -> list[str | None]:
        """Return the topics of the next `count` prompts; none of them has a topic if the subject has none.

        Each prompt goes to the topic with the fewest tasks for its share: those finished, and those to be expected of
        what is on the way, by the topic's own yield. Half of the prompt's own yield counts as well, so that shares are
        met on average (Sainte-Laguë). Among equals, the first in the file comes first.
        """
        shares = {topic: share for topic, share in _shares(progress).items() if topic not in self.aside}
        if not shares or count <= 0:
            return [None] * count
        yields = _Yields.of(progress)
        tasks = {topic: yields.expected(topic) for topic in shares}
        gains = {topic: yields.of_prompt(topic) for topic in shares}
        heap = [
            ((tasks[topic] + gains[topic] / 2) / share, place, topic)
            for place, (topic, share) in enumerate(shares.items())
        ]
        heapq.heapify(heap)
        drawn: list[str | None] = []
        for _ in range(count):
            need, place, topic = heap[0]
            drawn.append(topic)
            heapq.heapreplace(heap, (need + gains[topic] / shares[topic], place, topic))
        return drawn

    def _failure(self, count: TopicCount) -> str:
        """Return why a topic is to be set aside, empty if it is not."""
        if count.fruitless >= self._limit(count.accepted):
            return f"{count.fruitless} prompts in a row gave no accepted task"
        if count.fruitless_tasks >= self._limit(count.finished + count.usable):
            return f"{count.fruitless_tasks} accepted tasks in a row could not be finished"
        return ""

    def _limit(self, so_far: int) -> int:
        half = max(1, self.patience // 2)
        return half if so_far else min(half, _ENOUGH_AT_FIRST)


class _Yields(Struct, frozen=True):
    """Estimates of the tasks that prompts of a topic give. A topic with few prompts yet is judged by all of them."""

    progress: Progress
    outstanding: dict[str, int]
    pending: dict[str, int]
    accepted: float
    survival: float

    @classmethod
    def of(cls, progress: Progress) -> "_Yields":
        return cls(
            progress,
            progress.outstanding_by_topic,
            progress.pending_by_topic,
            accepted_per_prompt(progress),
            survival(progress),
        )

    def expected(self, topic: str) -> float:
        """Return the number of tasks that are finished, or that will come of what is on the way."""
        on_the_way = max(0, self.pending.get(topic, 0)) * self._survival(topic)
        asked = max(0, self.outstanding.get(topic, 0)) * self.of_prompt(topic)
        return self.progress.topics[topic].finished + on_the_way + asked

    def of_prompt(self, topic: str) -> float:
        """Return the number of finished tasks that a prompt gives."""
        count = self.progress.topics[topic]
        accepted = (count.accepted + _PRIOR_PROMPTS * self.accepted) / (count.decided + _PRIOR_PROMPTS)
        return accepted * self._survival(topic)

    def _survival(self, topic: str) -> float:
        count = self.progress.topics[topic]
        survivors = max(count.usable, count.finished)
        return (survivors + _PRIOR_TASKS * self.survival) / (survivors + count.dropped + _PRIOR_TASKS)


def _shares(progress: Progress) -> dict[str, float]:
    return progress.defined.templates.run_subject.shares if progress.defined is not None else {}
