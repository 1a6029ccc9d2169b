"""The model of one stage, where a run asks several models, or one model over both interfaces."""

from dataclasses import dataclass, replace
from typing import Literal

from service.lm.concurrency import Slot
from service.lm.errors import CallFailedError
from service.lm.port import Completion, Endpoint, LanguageModel
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Sampling


@dataclass(frozen=True, slots=True)
class StageModel:
    """Asks over the stage's interface; a failed call carries the `name` of its model, since no server gave one."""

    model: LanguageModel
    api: Literal["chat", "completions"]
    name: str | None = None

    async def complete(self, prompt: ModelInput, sampling: Sampling, slot: Slot | None = None) -> Completion:
        """Return the completion of one prompt."""
        try:
            return await self.model.complete(replace(prompt, api=self.api), sampling, slot)
        except CallFailedError as error:
            raise error.with_cost(replace(error.cost, model=self.name)) from error.__cause__


@dataclass(frozen=True, slots=True)
class EitherInterface:
    """One server that is asked for some prompts over chat, for others over completions."""

    chat: Endpoint
    completions: Endpoint

    @property
    def name(self) -> str:
        """The name of the server and its model, the same over both interfaces."""
        return self.chat.name

    async def attempt(self, prompt: ModelInput, sampling: Sampling) -> Completion:
        """Ask once, over the interface of the prompt."""
        endpoint = self.completions if prompt.api == "completions" else self.chat
        return await endpoint.attempt(prompt, sampling)
