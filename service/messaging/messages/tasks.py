"""Messages of `instructions`, `classified`, `instances` and `tasks`."""

from typing import TypedDict

from msgspec import Struct

from service.messaging.messages.base import Message
from service.messaging.messages.calls import Call, FailedCall, PaidCall
from service.messaging.messages.prompts import Answer
from service.selfinstruct.tasks import Instance, InstanceReason


class Provenance(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """Origin of a machine-written instruction: its prompt, parents, recipe, templates and model.

    `depth` is 1 if all parents are human tasks. `topic` is that of the prompt, if the run's subject has topics.
    """

    prompt_id: str
    parents: tuple[str, ...]
    depth: int
    recipe: str
    templates: str
    model: str
    topic: str | None = None

    @classmethod
    def of(cls, answer: Answer, recipe: str) -> "Provenance":
        """Return the origin of the candidates of an answer, judged by the recipe with this digest."""
        return cls(
            prompt_id=answer.prompt_id,
            parents=answer.demonstrations,
            depth=answer.depth,
            recipe=recipe,
            templates=answer.templates,
            model=answer.call.model,
            topic=answer.topic,
        )


class SharedFields(TypedDict):
    """The fields that all messages about an instruction have."""

    id: str
    pool_seq: int
    instruction: str
    provenance: Provenance


class AboutInstruction(Message, frozen=True, kw_only=True):
    """Base class of messages about an accepted machine-written instruction."""

    id: str
    pool_seq: int
    instruction: str
    provenance: Provenance


class Instruction(AboutInstruction, frozen=True, kw_only=True):
    """An accepted machine-written instruction, the input of the stages that complete it into a task."""

    ce_type = "io.seedstream.instruction.v1"


class ClassifiedInstruction(AboutInstruction, frozen=True, kw_only=True):
    """An instruction and whether it is a classification task.

    With `failure`, `is_classification` is `None`: the reply was neither yes nor no, or the call failed, and `spent` is
    the cost of its attempts.
    """

    ce_type = "io.seedstream.classified-instruction.v1"

    is_classification: bool | None
    call: Call | None = None
    failure: str | None = None
    spent: FailedCall | None = None


class TaskInstances(AboutInstruction, frozen=True, kw_only=True):
    """The instances of an instruction. With `rejection`, no instance is usable and the task is not finished.

    `is_classification` is `None` if the recipe does not classify, or if the classification failed. `call` is `None` if
    the instance came with the instruction (Alpaca) or the call failed; `spent` is the cost of a failed call.
    """

    ce_type = "io.seedstream.task-instances.v1"

    is_classification: bool | None
    instances: tuple[Instance, ...]
    rejection: InstanceReason | None = None
    call: Call | None = None
    failure: str | None = None
    spent: FailedCall | None = None


class PaidClassification(Message, frozen=True, kw_only=True):
    """The part of a `ClassifiedInstruction` that a bill needs."""

    ce_type = ClassifiedInstruction.ce_type

    id: str
    pool_seq: int
    call: PaidCall | None = None
    spent: FailedCall | None = None


class CountedProvenance(Struct, frozen=True, gc=False, kw_only=True):
    """The part of a `Provenance` that is counted."""

    topic: str | None = None


class PaidInstances(Message, frozen=True, kw_only=True):
    """The part of a `TaskInstances` that is counted."""

    ce_type = TaskInstances.ce_type

    id: str
    pool_seq: int
    provenance: CountedProvenance
    rejection: InstanceReason | None = None
    call: PaidCall | None = None
    spent: FailedCall | None = None


class NumberedTask(Message, frozen=True, kw_only=True):
    """The beginning of a `FinishedTask`, for readers that need no more of it."""

    ce_type = "io.seedstream.task.v1"

    task_seq: int
    id: str


class FinishedTask(NumberedTask, frozen=True, kw_only=True, omit_defaults=True):
    """A finished task, the output of a run. `task_seq` counts from 0 without gaps, in order of completion.

    `topic` is that of its provenance, whose `model` wrote the instruction. `instances_model` wrote the instances, if it
    is another one.
    """

    instruction: str
    is_classification: bool | None
    instances: tuple[Instance, ...]
    pool_seq: int
    provenance: Provenance
    topic: str | None = None
    instances_model: str | None = None


class CountedInstance(Struct, frozen=True, gc=False):
    """An instance of which nothing is needed but that it is there."""


class CountedTask(NumberedTask, frozen=True, kw_only=True):
    """The part of a `FinishedTask` that is counted."""

    is_classification: bool | None
    instances: tuple[CountedInstance, ...]
    pool_seq: int
    topic: str | None = None


def subject_of(message: AboutInstruction | FinishedTask) -> SharedFields:
    """Return the fields that a message shares with those that follow from it."""
    return {
        "id": message.id,
        "pool_seq": message.pool_seq,
        "instruction": message.instruction,
        "provenance": message.provenance,
    }
