"""`/login` and `/logout`: a token once, a session from then on."""

from http import HTTPStatus

from aiohttp import web
from msgspec import Struct

from service.web.keys import SESSIONS, TOKENS
from service.web.problems import ProblemError
from service.web.reading import body_of


class Login(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a login."""

    token: str


def routes() -> list[web.RouteDef]:
    return [web.post("/login", login), web.post("/logout", logout)]


async def login(request: web.Request) -> web.Response:
    """Begin a session with a token."""
    asked = await body_of(request, Login)
    caller = request.app[TOKENS].caller(asked.token.strip())
    if caller is None:
        raise ProblemError(HTTPStatus.FORBIDDEN, "expected a token of this service, got another text")
    response = web.Response(status=HTTPStatus.NO_CONTENT)
    request.app[SESSIONS].begin(caller, request, response)
    return response


async def logout(request: web.Request) -> web.Response:
    """End the session."""
    response = web.Response(status=HTTPStatus.NO_CONTENT)
    request.app[SESSIONS].end(request, response)
    return response
