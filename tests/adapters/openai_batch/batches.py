"""A batch API that can fail or hang at any call, and an endpoint that calls it."""

import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import orjson
from aiohttp import web
from anyio import lowlevel

from service.adapters.openai import OpenAIOptions
from service.adapters.openai_batch import BatchEndpoint, BatchOptions
from service.http_server import serving
from service.lm.errors import LanguageModelError
from service.lm.port import Completion
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Sampling
from service.simulator import Simulator, SimulatorOptions
from service.simulator.error_responses import json_response
from service.simulator.server import application

SAMPLING = Sampling(temperature=0.7, top_p=0.5, max_tokens=100, stop=("\n\n", "16."), presence_penalty=2.0)
RUN = "first"
PLAIN = SimulatorOptions()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(eq=False)
class Hold:
    """A call that hangs, before or after the server has processed it."""

    call: str
    is_done: bool
    reached: anyio.Event = field(default_factory=anyio.Event)
    released: anyio.Event = field(default_factory=anyio.Event)

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request) if self.is_done else None
        self.reached.set()
        await self.released.wait()
        return response or await handler(request)


@dataclass(eq=False)
class Say:
    """A call that is answered with another response."""

    call: str
    status: int
    message: str = "no"
    code: str | None = None

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        await request.read()
        return json_response({"error": {"message": self.message, "code": self.code}}, self.status)


@dataclass(eq=False)
class Lose:
    """A call whose answer is lost after the server has processed it."""

    call: str

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if request.transport is not None:
            request.transport.close()
        return response


@dataclass(eq=False)
class Break:
    """A download that breaks off half-way."""

    call: str

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        whole = await handler(request)
        assert isinstance(whole, web.Response)
        assert isinstance(whole.body, bytes)
        response = web.StreamResponse(headers={"Content-Length": str(len(whole.body))})
        await response.prepare(request)
        await response.write(whole.body[: len(whole.body) // 2])
        if request.transport is not None:
            request.transport.close()
        return response


@dataclass(eq=False)
class Change:
    """A call whose answer is changed on its way."""

    call: str
    change: Callable[[Any], Any]

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        assert isinstance(response, web.Response)
        return json_response(self.change(orjson.loads(response.text or "")))


Trouble = Hold | Say | Lose | Break | Change


@dataclass(eq=False)
class BatchApi:
    """A simulator, the calls it received, and the troubles of the next calls. Each trouble affects one call."""

    simulator: Simulator
    url: str = ""
    calls: list[str] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)

    @property
    def asked(self) -> Counter[str | None]:
        """The number of times that each prompt was sent to the model."""
        return Counter(entry.prompt_sha256 for entry in self.simulator.journal.entries)

    @property
    def statuses(self) -> Counter[int]:
        return Counter(entry.status for entry in self.simulator.journal.entries)

    def called(self, call: str) -> int:
        return sum(re.fullmatch(call, each) is not None for each in self.calls)

    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        call = f"{request.method} {request.path}"
        self.calls.append(call)
        trouble = next((each for each in self.troubles if re.fullmatch(each.call, call)), None)
        if trouble is None:
            return await handler(request)
        self.troubles.remove(trouble)
        return await trouble.answer(request, handler)


@asynccontextmanager
async def batch_api(options: SimulatorOptions = PLAIN) -> AsyncIterator[BatchApi]:
    """Serve a batch API on a free port of the loopback interface."""
    api = BatchApi(Simulator(options))

    @web.middleware
    async def with_troubles(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await api.handle(request, handler)

    app = application(api.simulator)
    app.middlewares.append(with_troubles)
    async with serving(app, shutdown_timeout_s=0.1) as address:
        api.url = f"http://{address}"
        try:
            yield api
        finally:
            for trouble in api.troubles:
                if isinstance(trouble, Hold):
                    trouble.released.set()


@dataclass
class Waits:
    """The waits that the endpoint requested, recorded and not waited for, and a clock that may be late."""

    slept: list[float] = field(default_factory=list)
    late_s: float = 0.0

    def now(self) -> float:
        return time.time() + self.late_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await lowlevel.checkpoint()


@asynccontextmanager
async def endpoint_at(api: BatchApi, waits: Waits | None = None, **options: Any) -> AsyncIterator[BatchEndpoint]:
    """Open an endpoint that calls the batch API, and never waits."""
    asked = {"base_url": api.url, "model": "m", "api": "completions", **options.pop("openai", {})}
    openai = OpenAIOptions(**asked)
    chosen = {"run": RUN, **options}
    waits = waits or Waits()
    async with BatchEndpoint.open(BatchOptions(openai, **chosen), waits.sleep, waits.now) as endpoint:
        yield endpoint


Outcome = Completion | LanguageModelError


async def ask(endpoint: BatchEndpoint, prompts: Sequence[str], sampling: Sampling = SAMPLING) -> list[Outcome]:
    """Ask all prompts concurrently, and return the outcome of each."""
    outcomes: dict[int, Outcome] = {}

    async def one(place: int, prompt: str) -> None:
        try:
            outcomes[place] = await endpoint.attempt(ModelInput(prompt), sampling)
        except LanguageModelError as error:
            outcomes[place] = error

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for place, prompt in enumerate(prompts):
                tasks.start_soon(one, place, prompt)
    return [outcomes[place] for place in range(len(prompts))]


def completions(outcomes: Sequence[Outcome]) -> list[Completion]:
    """Return the outcomes, all of which must be completions."""
    assert [outcome for outcome in outcomes if not isinstance(outcome, Completion)] == []
    return [outcome for outcome in outcomes if isinstance(outcome, Completion)]


def prompts(number: int) -> list[str]:
    """Return this number of different prompts."""
    return [f"Say something about the number {each}." for each in range(number)]
