"""Fixtures to call the endpoint on a scripted server."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr

from service.adapters.openai import OpenAIEndpoint, OpenAIOptions
from service.lm.port import Completion
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Sampling
from tests.adapters.scripted_server import Request, ScriptedServer, Step, scripted_server

SAMPLING = Sampling(temperature=0.7, top_p=0.5, max_tokens=100, stop=("\n\n", "16."), presence_penalty=2.0)
KEY = "sk-very-secret"


@dataclass
class Client:
    """An endpoint that calls a scripted server."""

    server: ScriptedServer
    endpoint: OpenAIEndpoint

    async def attempt(self, sampling: Sampling = SAMPLING) -> Completion:
        return await self.endpoint.attempt(ModelInput("the prompt"), sampling)

    @property
    def requests(self) -> list[Request]:
        return self.server.requests


Against = Callable[..., AbstractAsyncContextManager[Client]]


@asynccontextmanager
async def client_against(*steps: Step, **options: Any) -> AsyncIterator[Client]:
    chosen: dict[str, Any] = {"model": "asked", "api": "completions", "api_key": SecretStr(KEY), **options}
    async with (
        scripted_server(*steps) as server,
        OpenAIEndpoint(OpenAIOptions(base_url=server.url, **chosen)) as endpoint,
    ):
        yield Client(server, endpoint)


@pytest.fixture
def against() -> Against:
    """Return the function that opens a client on a script: `async with against(completion("text")) as client`."""
    return client_against


@pytest.fixture
async def closed_port() -> int:
    async with scripted_server() as server:
        return int(server.url.rpartition(":")[2])
