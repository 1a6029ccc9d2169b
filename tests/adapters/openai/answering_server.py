"""A server whose answer depends on the request, and an endpoint that calls it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from service.adapters.openai import OpenAIEndpoint, OpenAIOptions
from service.http_server import serving
from service.lm.port import Completion
from service.selfinstruct.model_input import CLASSIFICATION, ModelInput
from service.selfinstruct.recipe import Sampling
from tests.adapters.conftest import SAMPLING
from tests.adapters.scripted_server import Reply

TEXT_FORM = ModelInput("Is it?", "Be brief.")
JSON_FORM = ModelInput("Is it?", "Answer with JSON.", CLASSIFICATION)
VERDICT = '{"is_classification": true}'

Body = dict[str, Any]
Answer = Callable[[Body], Reply]


@dataclass
class Conversation:
    """An endpoint, and the bodies of all requests that it has sent."""

    endpoint: OpenAIEndpoint
    bodies: list[Body]

    async def ask(self, prompt: ModelInput = JSON_FORM, sampling: Sampling = SAMPLING) -> Completion:
        return await self.endpoint.attempt(prompt, sampling)

    def sent(self, name: str) -> list[Any]:
        """Return one field of each request, or None if the request lacks it."""
        return [body.get(name) for body in self.bodies]


@asynccontextmanager
async def conversation(answer: Answer, **options: Any) -> AsyncIterator[Conversation]:
    """Serve on a free port of the loopback interface. The endpoint uses chat unless `api` says otherwise."""
    bodies: list[Body] = []

    async def handle(request: web.Request) -> web.Response:
        bodies.append(orjson.loads(await request.read()))
        reply = answer(bodies[-1])
        content = reply.body if isinstance(reply.body, bytes) else orjson.dumps(reply.body)
        return web.Response(body=content, status=reply.status, headers=reply.headers)

    app = web.Application()
    app.router.add_post("/{path:.*}", handle)
    async with serving(app, shutdown_timeout_s=0.1) as address:
        chosen = {"base_url": f"http://{address}", "model": "asked", **options}
        async with OpenAIEndpoint(OpenAIOptions(**chosen)) as endpoint:
            yield Conversation(endpoint, bodies)
