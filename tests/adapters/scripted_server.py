"""An OpenAI-compatible server that follows a script, one step for each request, and records the requests."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import orjson
from aiohttp import web

from service.http_server import serving

_MAX_REQUEST_BYTES = 1 << 20


@dataclass(frozen=True)
class Reply:
    """One answer. A body that is not bytes is sent as JSON."""

    body: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Drop:
    """Close the connection without an answer."""


class Hang:
    """Never answer."""


Step = Reply | Drop | Hang


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    connection: int


@dataclass
class ScriptedServer:
    """The address of the server, its next steps, and the requests so far."""

    url: str
    steps: list[Step]
    requests: list[Request] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        body = orjson.loads(raw) if raw else None
        connection = id(request.transport)
        self.requests.append(Request(request.method, request.path, request.headers.copy(), body, connection))
        step = self.steps.pop(0)
        if isinstance(step, Hang):
            await anyio.sleep_forever()
        if isinstance(step, Drop) and request.transport is not None:
            request.transport.close()
        if not isinstance(step, Reply):
            return web.Response()
        content = step.body if isinstance(step.body, bytes) else orjson.dumps(step.body)
        return web.Response(body=content, status=step.status, headers=step.headers)


@asynccontextmanager
async def scripted_server(*steps: Step) -> AsyncIterator[ScriptedServer]:
    """Serve a script on a free port of the loopback interface."""
    server = ScriptedServer("", list(steps))
    app = web.Application(client_max_size=_MAX_REQUEST_BYTES)
    app.router.add_route("*", "/{path:.*}", server.handle)
    async with serving(app, shutdown_timeout_s=0.1) as address:
        server.url = f"http://{address}"
        yield server


def completion(text: object = "a text", finish: object = "stop", **more: object) -> Reply:
    """Answer to /v1/completions."""
    return Reply({"model": "served", "choices": [{"text": text, "finish_reason": finish}], **more})


def chat(content: object = "a text", finish: object = "stop", **message: object) -> Reply:
    """Answer to /v1/chat/completions."""
    choice = {"message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    return Reply({"model": "served", "choices": [choice]})


def refusal(status: int, message: str = "no", **headers: str) -> Reply:
    """Answer with an error in OpenAI's shape. Header names are given with underscores."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply({"error": {"message": message}}, status, names)
