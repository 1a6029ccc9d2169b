"""`prompts` → `candidates`: each prompt completed by the model, the answer parsed, whole."""

from collections.abc import Sequence

from msgspec import Struct

from service.lm.concurrency import Slot
from service.lm.errors import CallFailedError
from service.lm.port import LanguageModel
from service.messaging import topics
from service.messaging.messages import Answer, Call, FailedCall, FailedPrompt, Prompt
from service.selfinstruct.parsing import parse_instructions
from service.selfinstruct.recipe import Recipe


class Generate(Struct, frozen=True):
    """Shows the model a few tasks, so that it writes new ones (Self-Instruct §2.2, step 1)."""

    model: LanguageModel
    recipe: Recipe

    name = "generate"
    rank = 2
    source = topics.PROMPTS
    results = topics.CANDIDATES

    async def __call__(self, prompt: Prompt, slot: Slot | None = None) -> Sequence[Answer]:
        """Return the answer to a prompt with the candidates found in it."""
        asked = prompt.as_input(self.recipe)
        call = Call.of(await self.model.complete(asked, self.recipe.instruction_sampling, slot))
        candidates = parse_instructions(self.recipe, call.completion, truncated=call.truncated)
        return [Answer.of(prompt, call, candidates)]

    def give_up(self, prompt: Prompt, error: CallFailedError) -> Sequence[FailedPrompt]:
        """Return the record of a failure. It ends in a decision too, which gives the credit of its prompt back."""
        spent = FailedCall.of(error)
        return [
            FailedPrompt(
                prompt_id=prompt.id, prompt_seq=prompt.seq, failure=str(error), spent=spent, topic=prompt.topic
            )
        ]
