"""Routes of the REST API."""

import msgspec
from aiohttp import web

from service.run.facts import facts
from service.web.keys import RUNS


def routes() -> list[web.RouteDef]:
    return [web.get("/v1/runs", list_runs), web.get("/v1/runs/{run}", show_run)]


async def list_runs(request: web.Request) -> web.Response:
    names = await request.app[RUNS].names()
    return _json({"runs": [{"run": name} for name in names]})


async def show_run(request: web.Request) -> web.Response:
    live = await request.app[RUNS].of(request.match_info["run"])
    return _json(facts(live.progress))


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
