"""An HTTP client for the simulator's tests."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import anyio
import orjson

from service.simulator import Simulator, SimulatorOptions, serve
from tests.simulator import prompts

PROMPT = prompts.instructions()
PLAIN = SimulatorOptions(truncation_rate=0)
# Long enough that the request never ends during a test.
HELD = replace(PLAIN, time_to_first_token_s=3600)


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
    """A client of one simulator."""

    session: aiohttp.ClientSession
    simulator: Simulator

    async def post(self, path: str, body: object, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(self.simulator.url + path, json=body, headers=named) as response:
            return Answer(response.status, dict(response.headers), _parsed(await response.read()))

    async def fail(self, name: str, api: str = "completions", **fields: object) -> Answer:
        """Request a failure by name."""
        ask = self.complete if api == "completions" else self.chat
        return await ask(PROMPT, X_Return_Error=name, **fields)

    async def complete(self, prompt: str, **fields: object) -> Answer:
        body, headers = _apart({"prompt": prompt, **fields})
        return await self.post("/completions", body, **headers)

    async def chat(self, prompt: str, **fields: object) -> Answer:
        body, headers = _apart({"messages": [{"role": "user", "content": prompt}], **fields})
        return await self.post("/chat/completions", body, **headers)

    async def configure(self, **named: object) -> Answer:
        """Change options by their flags, as another program does."""
        url = self.simulator.url.removesuffix("/v1") + "/admin/config"
        changes = {name.replace("_", "-"): value for name, value in named.items()}
        async with self.session.post(url, json=changes) as response:
            return Answer(response.status, dict(response.headers), await response.json())

    async def get(self, path: str) -> Answer:
        async with self.session.get(self.simulator.url.removesuffix("/v1") + path) as response:
            is_json = response.content_type == "application/json"
            return Answer(
                response.status, dict(response.headers), await (response.json if is_json else response.text)()
            )

    async def delete(self, path: str) -> int:
        async with self.session.delete(self.simulator.url.removesuffix("/v1") + path) as response:
            return response.status


def _parsed(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode()


def _apart(fields: dict[str, object]) -> tuple[dict[str, object], dict[str, str]]:
    """Split the fields of a body from the headers, whose names begin with a capital letter."""
    headers = {name: str(value) for name, value in fields.items() if name[0].isupper()}
    return {name: value for name, value in fields.items() if name not in headers}, headers


@asynccontextmanager
async def connected(options: SimulatorOptions) -> AsyncIterator[Client]:
    """Run a simulator and connect a client to it."""
    async with serve(options) as simulator, aiohttp.ClientSession() as session:
        yield Client(session, simulator)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds, for five seconds at most."""
    with anyio.fail_after(5):
        while not condition():
            await anyio.lowlevel.checkpoint()
