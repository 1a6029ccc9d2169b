"""The `/admin/config` endpoint of llm-d-inference-sim: reads and changes the options while the simulator runs."""

from aiohttp import web

from service.errors import ConfigurationError
from service.simulator.error_responses import BadRequestError, json_response
from service.simulator.flags import as_json, options_from
from service.simulator.state import Simulator
from service.simulator.wire_formats import json_object


def admin_routes(simulator: Simulator) -> list[web.RouteDef]:
    """Return the routes that read and change the options; a request applies all of its changes or none."""

    async def shown(_: web.Request) -> web.Response:
        return json_response(as_json(simulator.options))

    async def changed(request: web.Request) -> web.Response:
        try:
            simulator.reconfigure(**options_from(json_object(await request.read())))
        except BadRequestError as error:
            return error.answer(simulator.options)
        except ConfigurationError as error:
            return BadRequestError(str(error)).answer(simulator.options)
        return await shown(request)

    return [web.get("/admin/config", shown), web.post("/admin/config", changed)]
