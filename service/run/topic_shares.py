"""The shares of a run's topics: wanted, and reached by its finished tasks so far."""

from dataclasses import dataclass

from service.run.progress import Progress

# A share is missed if it is further from the wanted one.
_TOLERATED = 0.02


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
    """Return the shares that finished tasks miss by more than two percent of all of them, the worst first."""
    gaps = [(abs((each.reached or 0.0) - each.wanted), each) for each in topic_shares(progress)]
    missed = [(gap, each) for gap, each in gaps if gap > _TOLERATED and each.reached is not None]
    return [each for _, each in sorted(missed, key=lambda found: -found[0])]
