"""Routes of the batch API in OpenAI's format: input files, batches and result files.

Lines get the same answers as requests to the other endpoints, and each line is a request in the journal.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

from service.simulator.batch.files import Files, page, uploaded
from service.simulator.batch.jobs import Batches, StoredBatch
from service.simulator.batch.lines import DIALECTS
from service.simulator.error_responses import BadRequestError, RefusedError, json_response
from service.simulator.state import Simulator

_WINDOW = "24h"
_MOST_FILES, _MOST_BATCHES = 10_000, 100
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def batch_routes(simulator: Simulator) -> list[web.RouteDef]:
    """Return the routes under `/v1/files` and `/v1/batches`."""
    desk = _Desk(simulator)
    return [
        web.post("/v1/files", desk.served(desk.upload)),
        web.get("/v1/files", desk.served(desk.list_files)),
        web.get("/v1/files/{id}", desk.served(desk.show_file)),
        web.get("/v1/files/{id}/content", desk.served(desk.read_file)),
        web.delete("/v1/files/{id}", desk.served(desk.delete_file)),
        web.post("/v1/batches", desk.served(desk.create_batch)),
        web.get("/v1/batches", desk.served(desk.list_batches)),
        web.get("/v1/batches/{id}", desk.served(desk.show_batch)),
        web.post("/v1/batches/{id}/cancel", desk.served(desk.cancel_batch)),
    ]


class _Desk:
    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._files = Files()
        self._batches = Batches(simulator, self._files)

    def served(self, handler: _Handler) -> _Handler:
        """Wrap a handler: check the API key, bring all batches up to date, and turn refusals into responses."""

        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                self._simulator.admit(request.headers)
                await self._batches.bring_up_to_date()
                return await handler(request)
            except RefusedError as refused:
                return refused.answer(self._simulator.options)

        return answer

    async def upload(self, request: web.Request) -> web.Response:
        return json_response((await uploaded(request, self._files)).as_json())

    async def list_files(self, request: web.Request) -> web.Response:
        purpose = request.query.get("purpose")
        files = [stored for stored in self._files.by_id.values() if purpose in (None, stored.purpose)]
        return json_response(page(files, request, _MOST_FILES))

    async def show_file(self, request: web.Request) -> web.Response:
        return json_response(self._files.find(request.match_info["id"]).as_json())

    async def read_file(self, request: web.Request) -> web.Response:
        stored = self._files.find(request.match_info["id"])
        return web.Response(body=stored.content, content_type="application/octet-stream")

    async def delete_file(self, request: web.Request) -> web.Response:
        return json_response(self._files.delete(request.match_info["id"]))

    async def create_batch(self, request: web.Request) -> web.Response:
        order = _order(await request.read())
        self._files.find(order["input_file_id"])
        batch = self._batches.create(
            order["endpoint"],
            order["input_file_id"],
            order["completion_window"],
            order.get("metadata"),
            self._simulator.admit(request.headers),
        )
        return json_response(batch.as_json())

    async def list_batches(self, request: web.Request) -> web.Response:
        return json_response(page(list(self._batches.by_id.values()), request, _MOST_BATCHES))

    async def show_batch(self, request: web.Request) -> web.Response:
        return json_response(self._batch(request).as_json())

    async def cancel_batch(self, request: web.Request) -> web.Response:
        batch = self._batch(request)
        self._batches.cancel(batch)
        return json_response(batch.as_json())

    def _batch(self, request: web.Request) -> StoredBatch:
        return self._batches.find(request.match_info["id"])


def _order(raw: bytes) -> Mapping[str, Any]:
    """Parse the body of a request that creates a batch.

    Raises:
        BadRequestError: a field is missing or has an unsupported value.
    """
    try:
        order = orjson.loads(raw)
    except orjson.JSONDecodeError as cause:
        raise BadRequestError(f"the body is not JSON: {cause}") from cause
    if not isinstance(order, dict) or not isinstance(order.get("input_file_id"), str):
        raise BadRequestError("the body lacks input_file_id, a string")
    if order.get("endpoint") not in DIALECTS:
        raise BadRequestError(f"endpoint is {order.get('endpoint')!r}; expected one of {', '.join(DIALECTS)}")
    if order.get("completion_window") != _WINDOW:
        raise BadRequestError(f"completion_window is {order.get('completion_window')!r}; expected {_WINDOW}")
    if not isinstance(order.get("metadata") or {}, dict):
        raise BadRequestError("metadata is no object")
    return order
