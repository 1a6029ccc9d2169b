"""The language model, as a stage sees it: a prompt in, a completion out.

Retries, time limits and the differences between servers live behind this port, in the adapters.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from service.selfinstruct.recipe import Sampling


class FinishReason(StrEnum):
    """Why the model stopped writing. Anything else a server says is a failed call, not a completion."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call as the server counted them; `None` in its place means that it did not say."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back for one prompt.

    `text` is hostile: data to be parsed, never code, markup or a path. `model` is the name the server gave.
    `attempts` counts the calls made for it, the successful one included; `cost_usd` is none where no price is known.
    """

    text: str
    finish_reason: FinishReason
    model: str
    usage: Usage | None = None
    attempts: int = 1
    cost_usd: float | None = None


class LanguageModel(Protocol):
    """Anything that completes prompts."""

    async def complete(self, prompt: str, sampling: Sampling) -> Completion:
        """Return the completion of one prompt.

        Raises:
            CallFailedError: this call failed after all its attempts.
            EndpointRefusedError: every call would fail; nothing more should be tried.
        """
        ...
