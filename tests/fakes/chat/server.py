"""The HTTP server: the OpenAI-compatible endpoints of one chat model."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web

from service.http_server import serving
from tests.fakes.chat.model import ChatModel, Reply
from tests.fakes.chat.steps import Body

MODEL_NAME = "scripted-chat"
_LARGEST_BODY_BYTES = 4 * 1024**2
_SHUTDOWN_TIMEOUT_S = 0.1


@asynccontextmanager
async def serve(model: ChatModel, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve a model while the block runs, and yield its address (…/v1). Port 0 takes a free one."""
    async with serving(_application(model), host, port, shutdown_timeout_s=_SHUTDOWN_TIMEOUT_S) as address:
        yield f"http://{address}/v1"


def _application(model: ChatModel) -> web.Application:
    async def complete(request: web.Request) -> web.Response:
        return _answer(model, await request.read())

    async def models(_: web.Request) -> web.Response:
        return _json({"object": "list", "data": [{"id": MODEL_NAME, "object": "model", "owned_by": "tests"}]})

    app = web.Application(client_max_size=_LARGEST_BODY_BYTES)
    app.add_routes([web.get("/v1/models", models), web.post("/v1/chat/completions", complete)])
    return app


def _answer(model: ChatModel, raw: bytes) -> web.Response:
    try:
        body = orjson.loads(raw)
        reply = model.reply(body)
    except (orjson.JSONDecodeError, KeyError, TypeError, StopIteration) as error:
        message = f"the request is malformed: {error!r}"
        return _json({"error": {"message": message, "type": "invalid_request_error"}}, status=400)
    return _json(_completion(body, reply, len(model.journal.entries)))


def _completion(body: Body, reply: Reply, number: int) -> dict[str, Any]:
    prompt_words = sum(len(str(message["content"]).split()) for message in body["messages"])
    words = len(reply.content.split())
    message = {"role": "assistant", "content": reply.content}
    return {
        "id": f"chat-{number}",
        "object": "chat.completion",
        "created": 1,
        "model": body.get("model") or MODEL_NAME,
        "choices": [{"index": 0, "message": message, "finish_reason": reply.finish_reason}],
        "usage": {"prompt_tokens": prompt_words, "completion_tokens": words, "total_tokens": prompt_words + words},
    }


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")
