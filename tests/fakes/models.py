"""A language model that follows a script, and can hang in the middle of a call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import anyio
from anyio import lowlevel

from service.lm.concurrency import Slot
from service.lm.errors import LanguageModelError
from service.lm.port import Completion, FinishReason
from service.lm.usage import Usage
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Sampling

MODEL = "scripted"


@dataclass(eq=False)
class Hold:
    """A call that waits for its release before it is answered."""

    reply: "str | Completion | LanguageModelError" = "held"
    released: anyio.Event = field(default_factory=anyio.Event)

    def release(self) -> None:
        self.released.set()


Reply = str | Completion | LanguageModelError | Hold
Script = Callable[[str], Reply]


def by_marker(replies: Mapping[str, Reply], otherwise: Reply = "Name three rivers of Europe.") -> Script:
    """Answer a prompt by the first of these texts that it contains. The words of a template identify its kind."""
    return lambda prompt: next((reply for marker, reply in replies.items() if marker in prompt), otherwise)


def always(reply: Reply) -> Script:
    return lambda _: reply


def completed(text: str, finish_reason: FinishReason = FinishReason.STOP) -> Completion:
    return Completion(text, finish_reason, MODEL, Usage(len(text.split()), 1))


class ScriptedModel:
    """A model that follows its script, and records its calls and the number of concurrent calls."""

    def __init__(self, script: Script) -> None:
        self.asked: list[str] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self._script = script
        self._news = anyio.Event()

    async def complete(self, prompt: ModelInput, sampling: Sampling, slot: Slot | None = None) -> Completion:
        """Return the scripted completion. It always takes at least one iteration of the event loop."""
        self.asked.append(prompt.as_text)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self._tell()
        try:
            await lowlevel.checkpoint()
            return await self._answer(self._script(prompt.as_text))
        finally:
            self.in_flight -= 1
            self._tell()

    async def until(self, condition: Callable[["ScriptedModel"], bool]) -> None:
        """Wait for calls to begin or end until the condition holds."""
        while not condition(self):
            self._news = anyio.Event()
            await self._news.wait()

    async def until_asked(self, times: int) -> None:
        await self.until(lambda model: len(model.asked) >= times)

    def _tell(self) -> None:
        self._news.set()

    async def _answer(self, reply: Reply) -> Completion:
        if isinstance(reply, Hold):
            await reply.released.wait()
            reply = reply.reply
        if isinstance(reply, LanguageModelError):
            raise reply
        return completed(reply) if isinstance(reply, str) else reply
