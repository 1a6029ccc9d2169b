"""The language model, as a stage sees it: a prompt in, a completion out.

The differences between servers live behind `Endpoint`, in the adapters; retries, limits and the choice of a server
behind `LanguageModel`, in `service.lm.dispatch`.
"""

from dataclasses import dataclass
from typing import Protocol

from service.lm.call_cost import ONE_ATTEMPT, CallCost
from service.lm.concurrency import Slot
from service.lm.usage import Usage
from service.open_enum import OpenEnum
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Sampling


class FinishReason(OpenEnum):
    """The reason why the model stopped. An answer with any other reason is a failed call, not a completion."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class Completion:
    """The answer to one prompt.

    `text` is hostile: data to be parsed, never code, markup or a path. `model` is the name the server gave. `usage` is
    none if the server did not count. `cost` is the cost of the call; it includes that of failed attempts.
    `in_reasoning`: the server put the answer where thinking belongs.
    """

    text: str
    finish_reason: FinishReason
    model: str
    usage: Usage | None = None
    cost: CallCost = ONE_ATTEMPT
    in_reasoning: bool = False


class LanguageModel(Protocol):
    """Anything that completes prompts, whatever it takes."""

    async def complete(self, prompt: ModelInput, sampling: Sampling, slot: Slot | None = None) -> Completion:
        """Return the completion of one prompt. `slot` is the caller's; without one the model takes its own.

        Raises:
            CallFailedError: this call failed for good.
            EndpointRefusedError: every call would fail; nothing more should be tried.
        """
        ...


class Endpoint(Protocol):
    """One server that can be asked for one completion once: no retries, no waiting, no limits."""

    @property
    def name(self) -> str:
        """The name in logs and metrics: address and model, never a secret."""
        ...

    async def attempt(self, prompt: ModelInput, sampling: Sampling) -> Completion:
        """Ask once.

        Raises:
            AttemptFailedError: nothing came of it, and the next attempt may succeed.
            CallFailedError: this call can never work (too long a prompt, a parameter that is not accepted).
            EndpointRefusedError: every call would fail the same way: key, quota, address, model.
        """
        ...
