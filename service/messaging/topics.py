"""The topics of a run and the types of message in each.

A `fanned_out` topic has several partitions, which are assigned to the members of a group. The others have one
partition, since their order determines the run's state. `ARCHITECTURE.md` shows this table.
"""

import re
from typing import Any, Generic, TypeVar

from msgspec import Struct

from service.messaging import messages
from service.messaging.broker import DEAD_LETTERS, TopicSpec
from service.messaging.messages import Message

M_co = TypeVar("M_co", bound=Message, covariant=True)


class Topic(Struct, Generic[M_co], frozen=True):
    """A topic: its name within a run, the types of its messages, and whether it has several partitions."""

    name: str
    types: tuple[type[Message], ...]
    fanned_out: bool = False

    def of(self, run: str) -> str:
        """Return the name of this topic at the broker: `seedstream.RUN.NAME`."""
        return f"seedstream.{run}.{self.name}"

    def dead_letters_of(self, run: str) -> str:
        """Return the name of this topic's dead letter topic at the broker."""
        return self.of(run) + DEAD_LETTERS


PROMPTS: Topic[messages.Prompt] = Topic("prompts", (messages.Prompt,), fanned_out=True)
CANDIDATES: Topic[messages.Answer | messages.FailedPrompt | messages.SubmittedSeed] = Topic(
    "candidates", (messages.Answer, messages.FailedPrompt, messages.SubmittedSeed)
)
POOL: Topic[messages.PooledTask] = Topic("pool", (messages.PooledTask,))
DECISIONS: Topic[messages.Decision] = Topic("decisions", (messages.Decision,))
HINTS: Topic[messages.ScreenedCandidates] = Topic("hints", (messages.ScreenedCandidates,), fanned_out=True)
INSTRUCTIONS: Topic[messages.Instruction] = Topic("instructions", (messages.Instruction,), fanned_out=True)
CLASSIFIED: Topic[messages.ClassifiedInstruction] = Topic(
    "classified", (messages.ClassifiedInstruction,), fanned_out=True
)
INSTANCES: Topic[messages.TaskInstances] = Topic("instances", (messages.TaskInstances,))
TASKS: Topic[messages.FinishedTask] = Topic("tasks", (messages.FinishedTask,), fanned_out=True)
CONTROL: Topic[
    messages.RunDefined
    | messages.GoalSet
    | messages.RunEnded
    | messages.CallsDropped
    | messages.DeadLettersPutBack
    | messages.TopicIds
    | messages.InstructionsSearched
    | messages.WebhookDelivered
] = Topic(
    "control",
    (
        messages.RunDefined,
        messages.GoalSet,
        messages.RunEnded,
        messages.CallsDropped,
        messages.DeadLettersPutBack,
        messages.TopicIds,
        messages.InstructionsSearched,
        messages.WebhookDelivered,
    ),
)

# Topics for readers that need a part of each record alone: the other fields are not decoded.
COUNTED_PROMPTS: Topic[messages.CountedPrompt] = Topic(PROMPTS.name, (messages.CountedPrompt,), fanned_out=True)
PAID_ANSWERS: Topic[messages.PaidAnswer | messages.FailedPrompt | messages.SubmittedSeed] = Topic(
    CANDIDATES.name, (messages.PaidAnswer, messages.FailedPrompt, messages.SubmittedSeed)
)
SHOWN: Topic[messages.ShownTask] = Topic(POOL.name, (messages.ShownTask,))
POOL_TEXTS: Topic[messages.PooledText] = Topic(POOL.name, (messages.PooledText,))
DECIDED: Topic[messages.DecidedPrompt] = Topic(DECISIONS.name, (messages.DecidedPrompt,))
COUNTED_DECISIONS: Topic[messages.CountedDecision] = Topic(DECISIONS.name, (messages.CountedDecision,))
PAID_CLASSIFICATIONS: Topic[messages.PaidClassification] = Topic(
    CLASSIFIED.name, (messages.PaidClassification,), fanned_out=True
)
PAID_INSTANCES: Topic[messages.PaidInstances] = Topic(INSTANCES.name, (messages.PaidInstances,))
COUNTED_TASKS: Topic[messages.CountedTask] = Topic(TASKS.name, (messages.CountedTask,), fanned_out=True)
NUMBERED: Topic[messages.NumberedTask] = Topic(TASKS.name, (messages.NumberedTask,), fanned_out=True)

ALL: tuple[Topic[Message], ...] = (
    PROMPTS,
    CANDIDATES,
    HINTS,
    POOL,
    DECISIONS,
    INSTRUCTIONS,
    CLASSIFIED,
    INSTANCES,
    TASKS,
    CONTROL,
)


def by_name(*of: Topic[Any]) -> dict[str, Topic[Message]]:
    """Return topics by their names within a run."""
    return {topic.name: topic for topic in of}


_OF_A_RUN = re.compile(rf"seedstream\.(.+)\.(?:{'|'.join(each.name for each in ALL)})(?:{re.escape(DEAD_LETTERS)})?")

TOPIC_OF_TYPE: dict[type[Message], Topic[Message]] = {kind: topic for topic in ALL for kind in topic.types}


def run_of(topic: str) -> str | None:
    """Return the name of the run that a topic at the broker belongs to, `None` if it belongs to none."""
    found = _OF_A_RUN.fullmatch(topic)
    return None if found is None else found[1]


def specs(run: str, partitions: int) -> list[TopicSpec]:
    """Return the topics to create for a run, dead letter topics included; fanned-out topics get `partitions`."""
    widths = [(topic, partitions if topic.fanned_out else 1) for topic in ALL]
    return [TopicSpec(name, width) for topic, width in widths for name in (topic.of(run), topic.dead_letters_of(run))]
