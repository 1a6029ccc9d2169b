"""Completion endpoints: requests are admitted, perhaps failed on purpose, delayed, charged and recorded."""

import hashlib
import time
from dataclasses import replace

import anyio
import orjson
from aiohttp import web

from service.lm.usage import Usage
from service.simulator.capacity import latency_s
from service.simulator.error_responses import Refusal, RefusedError, too_long, unknown_model
from service.simulator.faults import FAILURES, UNSPOILED, Document, Silence, Spoiled
from service.simulator.journal import NO_ANSWER, Entry
from service.simulator.state import Simulator
from service.simulator.text.generator import end_reply, write_reply
from service.simulator.wire_formats import CHAT, COMPLETIONS, Answer, Call, Dialect, Served, document


def completion_routes(simulator: Simulator) -> list[web.RouteDef]:
    """Return the routes `/v1/completions` and `/v1/chat/completions`."""

    async def complete(request: web.Request) -> web.StreamResponse:
        return await _recorded(simulator, request, COMPLETIONS)

    async def chat(request: web.Request) -> web.StreamResponse:
        return await _recorded(simulator, request, CHAT)

    return [web.post("/v1/completions", complete), web.post("/v1/chat/completions", chat)]


async def _recorded(simulator: Simulator, request: web.Request, dialect: Dialect) -> web.StreamResponse:
    entry = simulator.journal.open(request.path)
    try:
        response = await _answered(simulator, request, dialect, entry)
    except web.HTTPException as refused:
        entry.status = refused.status
        raise
    else:
        entry.status = response.status
        return response
    finally:
        simulator.journal.close(entry)


async def _answered(simulator: Simulator, request: web.Request, dialect: Dialect, entry: Entry) -> web.StreamResponse:
    try:
        entry.key = simulator.admit(request.headers)
        call = understood(simulator, dialect.parse(await request.read()), entry)
        failure = simulator.injection.failure(simulator.options, request.headers.get("X-Return-Error"))
        match FAILURES[failure] if failure else UNSPOILED:
            case Refusal() as refusal:
                entry.failure = failure
                return RefusedError(refusal).answer(simulator.options)
            case Silence(at_once):
                entry.failure = failure
                return await _silent(request, 0 if at_once else simulator.options.timeout_duration_s)
            case Spoiled() as spoiled:
                body = await _completed(simulator, call, entry, spoiled)
                entry.failure = failure
                return await _sent(request, body, spoiled)
    except RefusedError as refused:
        return refused.answer(simulator.options)


def understood(simulator: Simulator, call: Call, entry: Entry) -> Call:
    """Record prompt and `max_tokens` of a call; return it with `max_tokens` set if the context length is limited.

    Raises:
        RefusedError: the model name is unknown, or prompt and completion exceed the context length.
    """
    options = simulator.options
    entry.prompt_sha256 = hashlib.sha256(call.prompt.encode()).hexdigest()
    entry.max_tokens = call.max_tokens
    if options.strict_model and call.model not in (None, options.model):
        raise RefusedError(unknown_model(str(call.model), options.model))
    if not options.max_model_len:
        return call
    if call.prompt_tokens + (call.max_tokens or 1) > options.max_model_len:
        raise RefusedError(too_long(options.max_model_len, call.prompt_tokens, call.max_tokens or 1))
    return replace(call, max_tokens=call.max_tokens or options.max_model_len - call.prompt_tokens)


async def _completed(simulator: Simulator, call: Call, entry: Entry, spoiled: Spoiled) -> Document:
    with simulator.limits.admitted(entry, call.prompt_tokens + (call.max_tokens or 0)):
        async with simulator.capacity:
            running = simulator.capacity.running
            simulator.journal.running(running)
            answer = written(simulator, call)
            duration_s = latency_s(simulator.options, call.prompt, answer.tokens, running)
            if duration_s:
                await anyio.sleep(duration_s)
            return charged(simulator, call, entry, answer, spoiled)


def written(simulator: Simulator, call: Call) -> Answer:
    """Generate the answer to a call, cut at its stop strings and `max_tokens`."""
    ended = end_reply(write_reply(simulator.options, call.prompt, call.json_stage), call.stop, call.max_tokens)
    return Answer(ended.text, ended.finish_reason, ended.tokens)


def charged(simulator: Simulator, call: Call, entry: Entry, answer: Answer, spoiled: Spoiled = UNSPOILED) -> Document:
    """Apply `spoiled` to an answer, charge it to the entry and the simulator, and return the response body."""
    answer = spoiled.answer(answer)
    entry.prompt_tokens, entry.completion_tokens = call.prompt_tokens, answer.tokens
    entry.reasoning_tokens, entry.told = answer.reasoning_tokens, spoiled.told
    simulator.charged += Usage(call.prompt_tokens, answer.tokens)
    served = Served(f"sim-{entry.seq}", simulator.options.model, int(time.time()))
    body = spoiled.document(document(call, served, answer))
    if body.get("choices") and not spoiled.broken:
        entry.finish_reason = answer.finish_reason
    return body


async def _sent(request: web.Request, body: Document, spoiled: Spoiled) -> web.StreamResponse:
    raw = orjson.dumps(body)
    if spoiled.cut:
        return await _cut(request, raw)
    return web.Response(body=raw[: len(raw) // 2] if spoiled.broken else raw, content_type="application/json")


async def _cut(request: web.Request, raw: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(raw))})
    await response.prepare(request)
    await response.write(raw[: len(raw) // 2])
    _hang_up(request)
    return response


async def _silent(request: web.Request, duration_s: float) -> web.StreamResponse:
    if duration_s:
        await anyio.sleep(duration_s)
    _hang_up(request)
    return web.Response(status=NO_ANSWER)


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()
