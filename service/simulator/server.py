"""The HTTP server: an OpenAI-compatible stand-in for a language model."""

import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from aiohttp import web

from service.errors import ConfigurationError
from service.simulator.capacity import Capacity, QueueFullError, latency_s
from service.simulator.dialects import CHAT, COMPLETIONS, Call, Dialect, Served, completion
from service.simulator.faults import FAILURES, BadRequestError, forced, json_response, loading, rate_limited
from service.simulator.journal import Entry, Journal
from service.simulator.metrics import Reading
from service.simulator.options import SimulatorOptions
from service.simulator.tables import seeded
from service.simulator.text import count_tokens, end_reply, write_reply

_LARGEST_BODY_BYTES = 4 * 1024**2
# Requests in progress are cut off soon after the block is left: nobody is there to read the answers.
_SHUTDOWN_TIMEOUT_S = 0.1


class Simulator:
    """A running simulator: where it is, what it has been asked, and what it is doing."""

    def __init__(self, options: SimulatorOptions):
        if not options.failure_types or set(options.failure_types) - set(FAILURES):
            given, known = ", ".join(options.failure_types), ", ".join(FAILURES)
            raise ConfigurationError(f"simulator: failure_types is {given or 'empty'}; expected some of {known}")
        self.options = options
        self.journal = Journal(options.journal_size)
        self.capacity = Capacity(options)
        self.url = ""
        self._failures = seeded(options.seed, "failures")
        self._ready_at = time.monotonic() + options.startup_duration_s
        self._prompt_tokens = 0
        self._generation_tokens = 0

    def application(self) -> web.Application:
        """Return the routes."""
        app = web.Application(client_max_size=_LARGEST_BODY_BYTES)
        app.add_routes(
            [
                web.post("/v1/completions", self._completions),
                web.post("/v1/chat/completions", self._chat),
                web.get("/v1/models", self._models),
                web.get("/health", self._health),
                web.get("/metrics", self._metrics),
                web.get("/sim/requests", self._requests),
                web.delete("/sim/requests", self._reset),
            ]
        )
        return app

    async def _completions(self, request: web.Request) -> web.Response:
        return await self._recorded(request, COMPLETIONS)

    async def _chat(self, request: web.Request) -> web.Response:
        return await self._recorded(request, CHAT)

    async def _recorded(self, request: web.Request, dialect: Dialect) -> web.Response:
        entry = self.journal.open(request.path)
        try:
            response = await self._answer(request, dialect, entry)
        except web.HTTPException as refused:
            entry.status = refused.status
            raise
        else:
            entry.status = response.status
            return response
        finally:
            self.journal.close(entry)

    async def _answer(self, request: web.Request, dialect: Dialect, entry: Entry) -> web.Response:
        if self._loading:
            return loading()
        try:
            call = self._checked(dialect.parse(await request.read()))
            entry.prompt_sha256 = hashlib.sha256(call.prompt.encode()).hexdigest()
            entry.failure = self._failure(request)
            if entry.failure:
                return FAILURES[entry.failure].answer(self.options)
            async with self.capacity:
                return await self._complete(call, dialect, entry)
        except BadRequestError as bad:
            return bad.answer()
        except QueueFullError:
            return rate_limited(self.options)

    async def _complete(self, call: Call, dialect: Dialect, entry: Entry) -> web.Response:
        ended = end_reply(write_reply(self.options, call.prompt), call.stop, call.max_tokens)
        duration_s = latency_s(self.options, call.prompt, ended.tokens)
        if duration_s:
            await anyio.sleep(duration_s)
        entry.prompt_tokens, entry.completion_tokens = count_tokens(call.prompt), ended.tokens
        self._prompt_tokens += entry.prompt_tokens
        self._generation_tokens += entry.completion_tokens
        served = Served(f"sim-{entry.seq}", self.options.model, int(time.time()), entry.prompt_tokens)
        return web.Response(body=completion(dialect, served, ended), content_type="application/json")

    def _checked(self, call: Call) -> Call:
        if self.options.strict_model and call.model not in (None, self.options.model):
            raise BadRequestError(
                f"The model {call.model!r} does not exist; there is {self.options.model!r}", status=404
            )
        return call

    def _failure(self, request: web.Request) -> str | None:
        wanted = request.headers.get("X-Return-Error")
        if wanted is not None:
            return forced(wanted)
        rate = self.options.failure_injection_rate
        if rate and self._failures.random() * 100 < rate:
            return self._failures.choice(self.options.failure_types)
        return None

    @property
    def _loading(self) -> bool:
        return time.monotonic() < self._ready_at

    async def _models(self, _: web.Request) -> web.Response:
        if self._loading:
            return loading()
        model = {"id": self.options.model, "object": "model", "created": 0, "owned_by": "seedstream"}
        return json_response({"object": "list", "data": [model]})

    async def _health(self, _: web.Request) -> web.Response:
        return loading() if self._loading else json_response({"status": "ok"})

    async def _metrics(self, _: web.Request) -> web.Response:
        reading = Reading(
            self.options.model,
            self.capacity.running,
            self.capacity.waiting,
            self._prompt_tokens,
            self._generation_tokens,
        )
        return web.Response(
            text=reading.as_text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    async def _requests(self, _: web.Request) -> web.Response:
        return json_response(self.journal.as_json())

    async def _reset(self, _: web.Request) -> web.Response:
        self.journal.reset()
        return web.Response(status=204)


@asynccontextmanager
async def serve(options: SimulatorOptions, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Simulator]:
    """Run a simulator for as long as the block lasts; port 0 takes a free one, told by `.url`."""
    simulator = Simulator(options)
    runner = web.AppRunner(
        simulator.application(), access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_TIMEOUT_S
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound_host, bound_port = runner.addresses[0][:2]
        simulator.url = f"http://{f'[{bound_host}]' if ':' in bound_host else bound_host}:{bound_port}/v1"
        yield simulator
    finally:
        with anyio.CancelScope(shield=True):
            await runner.cleanup()
