"""Keys of the objects that handlers find in the application and in the request."""

from aiohttp import web

from service.settings import Settings
from service.web.runs import Runs
from service.web.server.access import Caller, Tokens
from service.web.server.drain import Drain
from service.web.server.sessions import Sessions
from service.web.server.sites import Sites
from service.web.server.stream_slots import StreamSlots

SETTINGS = web.AppKey("settings", Settings)
RUNS = web.AppKey("runs", Runs)
TOKENS = web.AppKey("tokens", Tokens)
SESSIONS = web.AppKey("sessions", Sessions)
SITES = web.AppKey("sites", Sites)
# Long answers take a slot, and end when the drain begins.
STREAM_SLOTS = web.AppKey("stream_slots", StreamSlots)
DRAIN = web.AppKey("drain", Drain)
# The caller of a request; set for every route that is not open to all.
CALLER = web.RequestKey("caller", Caller)
