"""Keys of the objects that handlers find in the application and in the request."""

from aiohttp import web

from service.settings import Settings
from service.web.runs import Runs
from service.web.server.access import Caller
from service.web.server.drain import Drain
from service.web.server.stream_slots import StreamSlots

SETTINGS = web.AppKey("settings", Settings)
RUNS = web.AppKey("runs", Runs)
# Long answers take a slot, and end when the drain begins.
STREAM_SLOTS = web.AppKey("stream_slots", StreamSlots)
DRAIN = web.AppKey("drain", Drain)
# Who makes a request; set for every route that is not open to all.
CALLER = web.RequestKey("caller", Caller)
