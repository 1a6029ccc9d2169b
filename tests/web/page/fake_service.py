"""A service that behaves: the page's own routes, and the REST API over a made run in memory."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from aiohttp import web

from service.http_server import serving
from service.web import page
from service.web.problems import ProblemError, respond
from service.web.server.middleware import Handler
from tests.web.page.made_run import START_MS, MadeRun

_HEARTBEAT_S = 2.0


@dataclass
class FakeService:
    """The service; `news` wakes streams. `scope` is that of whoever asks; none answers 401."""

    run: MadeRun = field(default_factory=MadeRun)
    scope: str | None = "steer"
    refuses_writes: bool = False
    has_vega: bool = True
    news: anyio.Event = field(default_factory=anyio.Event)
    ends: bool = False
    streams: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[str]:
        """Serve inside the block and yield the URL."""
        self.ends = False
        app = web.Application(middlewares=[self._guard])
        app.add_routes([*page.routes(), *self._routes()])
        app.on_shutdown.append(self._end)
        async with serving(app, port=port, handler_cancellation=True, shutdown_timeout_s=2) as address:
            yield f"http://{address}"

    def beat(self) -> None:
        """Wake the streams: something has changed."""
        self.news.set()
        self.news = anyio.Event()

    async def _end(self, _: web.Application) -> None:
        self.ends = True
        self.beat()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/v1") and self.scope is None:
            return web.json_response({"detail": "no token"}, status=401)
        if request.path == "/static/vega.js" and not self.has_vega:
            return web.json_response({"detail": "no charts here"}, status=404)
        try:
            return await handler(request)
        except ProblemError as problem:
            return respond(problem)

    def _routes(self) -> list[web.RouteDef]:
        run = "/v1/runs/{run}"
        return [
            web.post("/login", self._login),
            web.get("/v1/session", self._session),
            web.get("/v1/runs", self._list),
            web.get(run, self._facts),
            web.get(f"{run}/progress", self._progress),
            web.get(f"{run}/tasks", self._tasks),
            web.get(f"{run}/tasks/{{id}}", self._story),
            web.get(f"{run}/decisions", self._decisions),
            web.get(f"{run}/seeds", self._seeds),
            web.post(f"{run}/seeds", self._patched),
            web.get(f"{run}/charts/{{name}}", self._chart),
            web.get(f"{run}/goal", self._goal),
            web.patch(f"{run}/goal", self._patched),
        ]

    async def _login(self, request: web.Request) -> web.Response:
        if (await request.json())["token"] != "right-token-of-tests":
            return web.json_response({"detail": "expected one of the tokens"}, status=403)
        self.scope = "steer"
        return web.json_response({})

    async def _session(self, _: web.Request) -> web.Response:
        return web.json_response({"name": "anyone", "scope": self.scope, "by_session": False})

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response({"runs": [{"run": self.run.name, "is_open": True}]})

    async def _facts(self, request: web.Request) -> web.Response:
        if request.match_info["run"] != self.run.name:
            return web.json_response({"detail": "there is no such run", "command": "seedstream run"}, status=404)
        return web.json_response(self.run.facts())

    async def _progress(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while not self.ends:
            await response.write(b"event: progress\ndata: %b\n\n" % json.dumps(self.run.facts()).encode())
            with anyio.move_on_after(1):
                await self.news.wait()
            await anyio.sleep(0.3)
        return response

    async def _tasks(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        if request.headers["Accept"] != "application/x-ndjson":
            found = self.run.page(
                query.get("order") != "oldest", query.get("q", ""), int(query.get("cursor", 0)), int(query["limit"])
            )
            return web.json_response(found)
        self.streams.append(request.query_string)
        sent = int(query["after"].split("-")[1]) if "after" in query else 0
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        await response.write(b'{"id": "0-%d"}\n' % sent)
        while not self.ends:
            for each in self.run.tasks[sent:]:
                sent += 1
                await response.write(json.dumps({"id": f"0-{sent}", "task": each}).encode() + b"\n")
            with anyio.move_on_after(_HEARTBEAT_S) as scope:
                await self.news.wait()
            if scope.cancelled_caught:
                await response.write(b'{"id": "0-%d"}\n' % sent)
        return response

    async def _story(self, request: web.Request) -> web.Response:
        return web.json_response(self.run.story(request.match_info["id"]))

    async def _decisions(self, request: web.Request) -> web.Response:
        verdict = {
            "id": "m-3-1",
            "instruction": "Write a poem about rain.",
            "reason": request.query.get("reason", "too_similar"),
            "nearest": "seed-1",
            "nearest_instruction": "Write a poem about the rain.",
            "score": 0.83,
            "decided_ms": START_MS,
        }
        return web.json_response({"verdicts": [verdict] * 3, "next": None})

    async def _seeds(self, _: web.Request) -> web.Response:
        seeds = [
            {
                "id": f"seed-{at}",
                "instruction": f"Seed task number {at}.",
                "prompts": 10 * at,
                "candidates": 80 * at,
                "accepted": 9 * at * at,
                "finished": 8 * at,
            }
            for at in range(1, 8)
        ]
        return web.json_response({"seeds": seeds, "next": None, "total": 7})

    async def _chart(self, request: web.Request) -> web.Response:
        return web.json_response({"values": self.run.chart(request.match_info["name"])})

    async def _goal(self, _: web.Request) -> web.Response:
        return web.json_response(self.run.goal)

    async def _patched(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.run.patches.append(body)
        if self.refuses_writes:
            return web.json_response(
                {"detail": "process 17 works on run 'first'", "command": "seedstream run --run first --web"}, status=409
            )
        if request.method == "PATCH":
            self.run.goal |= body
        self.beat()
        return web.json_response(self.run.goal)
