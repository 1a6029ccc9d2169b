"""`instructions` → `classified`: is this a classification task? The model says Yes or No."""

from collections.abc import Sequence
from dataclasses import dataclass

from service import topics
from service.errors import CallFailedError
from service.lm import LanguageModel
from service.messages import Call, ClassifiedInstruction, FailedCall, Instruction
from service.selfinstruct.classification import is_classification
from service.selfinstruct.recipe import Sampling
from service.selfinstruct.rendering import render_instruction


@dataclass(frozen=True, slots=True)
class Classify:
    """A few-shot question decides how instances will be asked for (Self-Instruct §2.2, step 2)."""

    model: LanguageModel
    template: str
    sampling: Sampling

    name = "classify"
    rank = 1
    source = topics.INSTRUCTIONS
    results = topics.CLASSIFIED

    async def __call__(self, instruction: Instruction) -> Sequence[ClassifiedInstruction]:
        """Return the instruction with the model's answer."""
        prompt = render_instruction(self.template, instruction.instruction)
        call = Call.of(await self.model.complete(prompt, self.sampling))
        return [_classified(instruction, is_classification=is_classification(call.completion), call=call)]

    def give_up(self, instruction: Instruction, error: CallFailedError) -> Sequence[ClassifiedInstruction]:
        """Return the instruction unclassified: the original takes a failed call for a No, this is a failure."""
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
        id=instruction.id,
        pool_seq=instruction.pool_seq,
        instruction=instruction.instruction,
        provenance=instruction.provenance,
        is_classification=is_classification,
        call=call,
        failure=failure,
        spent=spent,
    )
