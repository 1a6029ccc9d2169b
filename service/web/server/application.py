"""The application: routes of all packages, and the middleware before them."""

from collections.abc import Sequence

from aiohttp import web

from service.settings import Settings
from service.web import api, page, streams
from service.web.keys import DRAIN, RUNS, SESSIONS, SETTINGS, SITES, STREAM_SLOTS, TOKENS
from service.web.runs import Runs
from service.web.server import health, login
from service.web.server.access import Tokens
from service.web.server.drain import Drain
from service.web.server.middleware import MIDDLEWARE, add_headers
from service.web.server.sessions import Sessions
from service.web.server.sites import Sites
from service.web.server.stream_slots import StreamSlots
from service.web.webhooks.sender import WebhookSender
from service.web.webhooks.state import WEBHOOKS

_LONGEST_BODY = 256 * 1024


def application(
    settings: Settings, runs: Runs, tokens: Tokens, senders: Sequence[WebhookSender] = ()
) -> web.Application:
    """Return the application, ready to be served."""
    app = web.Application(middlewares=MIDDLEWARE, client_max_size=_LONGEST_BODY)
    app[SETTINGS] = settings
    app[RUNS] = runs
    app[WEBHOOKS] = senders
    app[TOKENS] = tokens
    app[SESSIONS] = Sessions()
    app[SITES] = Sites(settings)
    app[STREAM_SLOTS] = StreamSlots(settings.web_streams, settings.web_streams_per_token)
    drain = app[DRAIN] = Drain()

    async def begin_drain(_: web.Application) -> None:
        drain.begin()

    app.on_shutdown.append(begin_drain)
    app.on_response_prepare.append(add_headers)
    for package in (health, login, api, streams, page):
        app.add_routes(_routes_of(package))
    return app


def _routes_of(package: object) -> Sequence[web.RouteDef]:
    routes: Sequence[web.RouteDef] = getattr(package, "routes", list)()
    return routes
