"""The caller of a request, for the page: it shows the controls that its user may use."""

from aiohttp import web
from msgspec import Struct

from service.web.keys import CALLER, TOKENS


class Session(Struct, frozen=True, kw_only=True):
    """The caller: the name of its token, what it may do (read, steer or admin), and whether a login began it."""

    name: str
    scope: str
    by_session: bool


async def show_session(request: web.Request) -> Session:
    """Return who makes the request."""
    caller = request[CALLER]
    by_session = request.app[TOKENS].are_needed and "Authorization" not in request.headers
    return Session(name=caller.name, scope=caller.scope.word, by_session=by_session)
