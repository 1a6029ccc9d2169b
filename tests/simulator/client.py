"""A small client for the simulator's tests."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import anyio

from service.simulator import Simulator, SimulatorOptions, serve


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and JSON body of an answer."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def choice(self) -> Any:
        return self.body["choices"][0]


@dataclass(frozen=True, slots=True)
class Client:
    """Speaks to one simulator."""

    session: aiohttp.ClientSession
    simulator: Simulator

    async def post(self, path: str, body: object, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(self.simulator.url + path, json=body, headers=named) as response:
            return Answer(response.status, dict(response.headers), await response.json())

    async def complete(self, prompt: str, **fields: object) -> Answer:
        return await self.post("/completions", {"prompt": prompt, **fields})

    async def chat(self, prompt: str, **fields: object) -> Answer:
        return await self.post("/chat/completions", {"messages": [{"role": "user", "content": prompt}], **fields})

    async def get(self, path: str) -> Answer:
        async with self.session.get(self.simulator.url.removesuffix("/v1") + path) as response:
            is_json = response.content_type == "application/json"
            return Answer(
                response.status, dict(response.headers), await (response.json if is_json else response.text)()
            )

    async def delete(self, path: str) -> int:
        async with self.session.delete(self.simulator.url.removesuffix("/v1") + path) as response:
            return response.status


@asynccontextmanager
async def connected(options: SimulatorOptions) -> AsyncIterator[Client]:
    """Run a simulator and a client of it."""
    async with serve(options) as simulator, aiohttp.ClientSession() as session:
        yield Client(session, simulator)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a state, for five seconds at most."""
    with anyio.fail_after(5):
        while not condition():
            await anyio.lowlevel.checkpoint()
