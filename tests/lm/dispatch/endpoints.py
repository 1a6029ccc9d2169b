"""Scripted endpoints: each attempt gets the next step, and every prompt is recorded."""

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from anyio import lowlevel

from service.lm.backoff import Backoff
from service.lm.dispatch import Dispatcher, Patience
from service.lm.errors import AttemptFailedError, EndpointRefusedError, Failing, LanguageModelError, Refused
from service.lm.port import Completion, FinishReason
from service.lm.usage import Usage
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Sampling

SAMPLING = Sampling(temperature=0.7, top_p=0.5, max_tokens=100, stop=())
AT_ONCE = Backoff(base_s=0.001, cap_s=0.001)

Step = Completion | LanguageModelError


USAGE = Usage(10, 5)


def completed(text: str = "a text", usage: Usage | None = USAGE) -> Completion:
    return Completion(text, FinishReason.STOP, "scripted", usage)


def failed(
    failing: Failing = Failing.SERVER_ERROR, after_s: float | None = None, usage: Usage | None = None
) -> AttemptFailedError:
    return AttemptFailedError(failing, f"It was {failing}.", after_s, usage)


def refused(kind: Refused) -> EndpointRefusedError:
    return EndpointRefusedError(f"Refused for {kind}.", kind)


@dataclass(eq=False)
class ScriptedEndpoint:
    """An endpoint that answers from `steps`, then from `otherwise`. If it has an `open` event, calls wait for it."""

    steps: list[Step] = field(default_factory=list)
    otherwise: Callable[[], Step] = completed
    name: str = "scripted"
    asked: list[str] = field(default_factory=list)
    running: int = 0
    most_at_once: int = 0
    open: anyio.Event | None = None

    async def attempt(self, prompt: ModelInput, sampling: Sampling) -> Completion:
        self.asked.append(prompt.text)
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            step = self.steps.pop(0) if self.steps else self.otherwise()
            await lowlevel.checkpoint()
            if self.open is not None:
                await self.open.wait()
            if isinstance(step, LanguageModelError):
                raise step
            return step
        finally:
            self.running -= 1


def over(
    *endpoints: ScriptedEndpoint, concurrency: int = 4, patience: Patience | None = None, backoff: Backoff = AT_ONCE
) -> Dispatcher:
    return Dispatcher.over(list(endpoints), concurrency, patience or Patience(attempts=3), backoff)


async def until(condition: Callable[[], bool], deadline_s: float = 10.0) -> None:
    with anyio.fail_after(deadline_s):
        while not condition():  # noqa: ASYNC110 - the state is not ours to signal
            await anyio.sleep(0.001)
