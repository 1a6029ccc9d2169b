"""How the tests of the client call it: short, and without waiting."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from pydantic import SecretStr

from service.adapters.openai import OpenAIModel, OpenAIOptions
from service.lm import Completion
from service.selfinstruct.recipe import Sampling
from tests.adapters.scripted_server import Request, ScriptedServer, Step, scripted_server

SAMPLING = Sampling(temperature=0.7, top_p=0.5, max_tokens=100, stop=("\n\n", "16."), presence_penalty=2.0)
KEY = "sk-very-secret"


@dataclass
class Client:
    """A model in front of a scripted server; the waits it asked for are noted instead of slept."""

    server: ScriptedServer
    model: OpenAIModel
    slept: list[float] = field(default_factory=list)

    async def complete(self, sampling: Sampling = SAMPLING) -> Completion:
        return await self.model.complete("the prompt", sampling)

    @property
    def requests(self) -> list[Request]:
        return self.server.requests


Against = Callable[..., AbstractAsyncContextManager[Client]]


@asynccontextmanager
async def client_against(*steps: Step, **options: Any) -> AsyncIterator[Client]:
    chosen: dict[str, Any] = {"model": "asked", "api": "completions", "api_key": SecretStr(KEY), **options}
    async with scripted_server(*steps) as server:
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        async with OpenAIModel(OpenAIOptions(base_url=server.url, **chosen), random=Random(0), sleep=sleep) as model:
            yield Client(server, model, slept)


@pytest.fixture
def against() -> Against:
    """Give what opens a client in front of a script: `async with against(completion("text")) as client`."""
    return client_against
