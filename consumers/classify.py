"""`instructions` → `classified`: is this a classification task? The model says yes or no."""

from collections.abc import Sequence

from msgspec import Struct

from service.lm.concurrency import Slot
from service.lm.errors import CallFailedError
from service.lm.port import LanguageModel
from service.messaging import topics
from service.messaging.messages import Call, ClassifiedInstruction, FailedCall, Instruction, subject_of
from service.selfinstruct.asking import ask_whether_classification
from service.selfinstruct.classification import is_classification
from service.selfinstruct.recipe import Recipe, Sampling
from service.selfinstruct.replies.characters import excerpt
from service.selfinstruct.templates import Templates


class Classify(Struct, frozen=True):
    """Asks a few-shot question; the answer decides how instances are asked for (Self-Instruct §2.2, step 2)."""

    model: LanguageModel
    recipe: Recipe
    templates: Templates
    sampling: Sampling

    name = "classify"
    rank = 1
    source = topics.INSTRUCTIONS
    results = topics.CLASSIFIED

    async def __call__(self, instruction: Instruction, slot: Slot | None = None) -> Sequence[ClassifiedInstruction]:
        """Return the instruction with the model's answer; an answer that says neither is never taken for a no."""
        topic = instruction.provenance.topic
        prompt = ask_whether_classification(self.recipe, self.templates, instruction.instruction, topic)
        call = Call.of(await self.model.complete(prompt, self.sampling, slot))
        verdict = is_classification(call.completion)
        unread = None if verdict is not None else f'expected yes or no, got "{excerpt(call.completion)}"'
        return [_classified(instruction, is_classification=verdict, call=call, failure=unread)]

    def give_up(self, instruction: Instruction, error: CallFailedError) -> Sequence[ClassifiedInstruction]:
        """Return the instruction unclassified. The original code takes a failed call for a no; here it is a failure."""
        return [_classified(instruction, failure=str(error), spent=FailedCall.of(error))]


def _classified(
    instruction: Instruction,
    *,
    is_classification: bool | None = None,
    call: Call | None = None,
    failure: str | None = None,
    spent: FailedCall | None = None,
) -> ClassifiedInstruction:
    return ClassifiedInstruction(
        **subject_of(instruction),
        is_classification=is_classification,
        call=call,
        failure=failure,
        spent=spent,
    )
