"""Status endpoints: models, health, metrics and the journal."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from service.simulator.error_responses import RefusedError, json_response
from service.simulator.metrics import Reading
from service.simulator.state import Simulator

_Handler = Callable[[web.Request], Awaitable[web.Response]]


def report_routes(simulator: Simulator) -> list[web.RouteDef]:
    """Return the status routes; they are read-only, except that `DELETE /sim/requests` resets the journal."""

    async def models(request: web.Request) -> web.Response:
        simulator.admit(request.headers)
        model = {"id": simulator.options.model, "object": "model", "created": 0, "owned_by": "seedstream"}
        return json_response({"object": "list", "data": [model]})

    async def health(_: web.Request) -> web.Response:
        simulator.check_ready()
        return json_response({"status": "ok"})

    async def metrics(_: web.Request) -> web.Response:
        content_type = "text/plain; version=0.0.4; charset=utf-8"
        return web.Response(text=_reading(simulator).as_text(), headers={"Content-Type": content_type})

    async def requests(_: web.Request) -> web.Response:
        return json_response(simulator.journal.as_json())

    async def reset(_: web.Request) -> web.Response:
        simulator.journal.reset()
        return web.Response(status=204)

    return [
        web.get("/v1/models", _or_refused(simulator, models)),
        web.get("/health", _or_refused(simulator, health)),
        web.get("/health/ready", _or_refused(simulator, health)),
        web.get("/metrics", metrics),
        web.get("/sim/requests", requests),
        web.delete("/sim/requests", reset),
    ]


def _or_refused(simulator: Simulator, handler: _Handler) -> _Handler:
    async def answer(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except RefusedError as refused:
            return refused.answer(simulator.options)

    return answer


def _reading(simulator: Simulator) -> Reading:
    return Reading(
        simulator.options.model,
        simulator.capacity.running,
        simulator.capacity.waiting,
        simulator.charged.prompt_tokens,
        simulator.charged.completion_tokens,
    )
