"""`classified` → `instances`: examples of each task, input first or output first, written by the model."""

import random
from collections.abc import Sequence

from msgspec import Struct

from service.lm.concurrency import Slot
from service.lm.errors import CallFailedError
from service.lm.port import LanguageModel
from service.messaging import topics
from service.messaging.messages import Call, ClassifiedInstruction, FailedCall, TaskInstances, subject_of
from service.selfinstruct.asking import ask_for_instances
from service.selfinstruct.instances import parse_instances, select_instances
from service.selfinstruct.recipe import Recipe, Sampling
from service.selfinstruct.tasks import Instance, InstanceReason
from service.selfinstruct.templates import Templates


class WriteInstances(Struct, frozen=True):
    """Lets the model write instances of an accepted instruction (Self-Instruct §2.2, step 3).

    Classification tasks are asked for the label first; else the model writes inputs of one label only.
    """

    model: LanguageModel
    recipe: Recipe
    templates: Templates
    generation: Sampling
    classification: Sampling
    random_seed: int

    name = "instances"
    rank = 0
    source = topics.CLASSIFIED
    results = topics.INSTANCES

    async def __call__(self, task: ClassifiedInstruction, slot: Slot | None = None) -> Sequence[TaskInstances]:
        """Return the instances of a task, or the reason why it has none."""
        if task.is_classification is None:
            return [_without(task, task.failure)]
        recipe, is_classification = self.recipe, task.is_classification
        prompt = ask_for_instances(
            recipe,
            self.templates,
            task.instruction,
            is_classification=is_classification,
            topic=task.provenance.topic,
        )
        sampling = self.classification if is_classification else self.generation
        call = Call.of(await self.model.complete(prompt, sampling, slot))
        parsed = parse_instances(recipe, call.completion, is_classification=is_classification, truncated=call.truncated)
        selected = select_instances(
            parsed,
            recipe.max_instances,
            self._random(task),
            chat_model=recipe.chat_model,
            is_classification=is_classification,
        )
        return [_with(task, call, selected)]

    def give_up(self, task: ClassifiedInstruction, error: CallFailedError) -> Sequence[TaskInstances]:
        """Return the record that this task stays without instances."""
        return [_without(task, str(error), FailedCall.of(error))]

    def _random(self, task: ClassifiedInstruction) -> random.Random:
        return random.Random(f"{self.random_seed}/{task.id}")  # noqa: S311 - sampling, not secrecy


def _with(task: ClassifiedInstruction, call: Call, selected: tuple[Instance, ...] | InstanceReason) -> TaskInstances:
    instances, rejection = ((), selected) if isinstance(selected, InstanceReason) else (selected, None)
    return TaskInstances(
        **subject_of(task),
        is_classification=task.is_classification,
        instances=instances,
        rejection=rejection,
        call=call,
    )


def _without(task: ClassifiedInstruction, failure: str | None, spent: FailedCall | None = None) -> TaskInstances:
    return TaskInstances(
        **subject_of(task),
        is_classification=task.is_classification,
        instances=(),
        rejection=InstanceReason.CALL_FAILED,
        failure=failure,
        spent=spent,
    )
