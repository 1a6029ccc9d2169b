"""The message types of the pipeline's topics.

Messages are frozen and ignore unknown fields, except for those that a decision depends on: limits of a goal, parameters
of a recipe. A schema evolves by added fields; a new major version is a new class with its own `ce_type`. The id of a
result derives from the id of its input and a position, so that a redelivered record yields the same ids. No field
depends on the clock; the time of a record is in its headers.

The types of a field are checked when a record is decoded, and not when a message is made.
"""

from service.messaging.messages.base import Message
from service.messaging.messages.calls import Call, FailedCall, PaidCall
from service.messaging.messages.control import (
    CallsDropped,
    DeadLettersPutBack,
    Ending,
    GivenPrice,
    GoalSet,
    InstructionsSearched,
    RunDefined,
    RunEnded,
    StageLimits,
    TopicIds,
    WebhookDelivered,
)
from service.messaging.messages.pool import (
    CandidateVerdict,
    CountedDecision,
    CountedVerdict,
    DecidedPrompt,
    Decision,
    Embedding,
    Origin,
    PooledTask,
    PooledText,
    ScreenedCandidates,
    ScreenedText,
    SemanticNeighbour,
    ShownTask,
    check_next,
)
from service.messaging.messages.prompts import (
    Answer,
    CountedPrompt,
    FailedPrompt,
    PaidAnswer,
    Prompt,
    SubmittedSeed,
)
from service.messaging.messages.tasks import (
    ClassifiedInstruction,
    CountedTask,
    FinishedTask,
    Instruction,
    NumberedTask,
    PaidClassification,
    PaidInstances,
    Provenance,
    TaskInstances,
    subject_of,
)

__all__ = [
    "Answer",
    "Call",
    "CallsDropped",
    "CandidateVerdict",
    "ClassifiedInstruction",
    "CountedDecision",
    "CountedPrompt",
    "CountedTask",
    "CountedVerdict",
    "DeadLettersPutBack",
    "DecidedPrompt",
    "Decision",
    "Embedding",
    "Ending",
    "FailedCall",
    "FailedPrompt",
    "FinishedTask",
    "GivenPrice",
    "GoalSet",
    "Instruction",
    "InstructionsSearched",
    "Message",
    "NumberedTask",
    "Origin",
    "PaidAnswer",
    "PaidCall",
    "PaidClassification",
    "PaidInstances",
    "PooledTask",
    "PooledText",
    "Prompt",
    "Provenance",
    "RunDefined",
    "RunEnded",
    "ScreenedCandidates",
    "ScreenedText",
    "SemanticNeighbour",
    "ShownTask",
    "StageLimits",
    "SubmittedSeed",
    "TaskInstances",
    "TopicIds",
    "WebhookDelivered",
    "check_next",
    "subject_of",
]
