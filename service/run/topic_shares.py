"""The shares of a run's topics: wanted, and reached by its finished tasks so far."""

from dataclasses import dataclass

from service.run.progress import Progress

# A share is missed if it is further from the wanted one than both of these; a prompt gives several tasks at once.
_TOLERATED = 0.02
_TOLERATED_TASKS = 10
# A topic without a task is missed as well once so many prompts in a row gave none.
_MANY_FRUITLESS = 10


@dataclass(frozen=True, slots=True)
class TopicShare:
    """The share of a topic (0 … 1): wanted, and `reached`, which is None before any task is finished.

    `fruitless` counts the latest prompts in a row without an accepted task.
    """

    topic: str
    wanted: float
    reached: float | None
    finished: int
    accepted: int
    candidates: int
    prompts: int
    fruitless: int

    def lacks_prompts(self, total: int) -> bool:
        """Return whether the share of `total` finished tasks is at least one task, but no prompt was for the topic."""
        return not self.prompts and not self.finished and self.wanted * total >= 1


def topic_shares(progress: Progress) -> list[TopicShare]:
    """Return the shares of the topics of a run in the order of its subject; none for a run without topics."""
    subject = progress.defined.templates.run_subject if progress.defined is not None else None
    shares = subject.shares if subject is not None else {}
    total = sum(progress.topics[topic].finished for topic in shares)
    found = []
    for topic, wanted in shares.items():
        count = progress.topics[topic]
        found.append(
            TopicShare(
                topic=topic,
                wanted=wanted,
                reached=count.finished / total if total else None,
                finished=count.finished,
                accepted=count.accepted,
                candidates=count.candidates,
                prompts=count.prompts,
                fruitless=count.fruitless,
            )
        )
    return found


def missed_shares(progress: Progress) -> list[TopicShare]:
    """Return the shares that the finished tasks of a run miss, the worst first; none before any task is finished."""
    shares = topic_shares(progress)
    total = sum(each.finished for each in shares)
    gaps = [(abs((each.reached or 0.0) - each.wanted), each) for each in shares if total]
    missed = [(gap, each) for gap, each in gaps if _is_missed(each, gap, total)]
    return [each for _, each in sorted(missed, key=lambda found: -found[0])]


def unasked_shares(progress: Progress) -> list[TopicShare]:
    """Return the topics to which a run owes at least one task, and which never had a prompt, in the subject's order.

    A topic has its first prompt late if its share is small: the tasks of one prompt may be more than the share.
    """
    shares = topic_shares(progress)
    total = sum(each.finished for each in shares)
    return [each for each in shares if each.lacks_prompts(total)]


def _is_missed(share: TopicShare, gap: float, total: int) -> bool:
    if not share.finished and share.fruitless >= _MANY_FRUITLESS:
        return True
    return gap > max(_TOLERATED, _TOLERATED_TASKS / total)
