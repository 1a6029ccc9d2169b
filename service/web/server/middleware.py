"""Middleware, from the outermost to the innermost, and the headers of every answer."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import hdrs, web

from service.errors import SeedstreamError
from service.web.content_security import content_security_policy
from service.web.keys import CALLER, SESSIONS, SITES, TOKENS
from service.web.problems import ProblemError, problem_of, respond
from service.web.server.access import ANYONE, Caller, Scope

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HEADERS = {
    "Content-Security-Policy": content_security_policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_CORS = {
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, HEAD, POST, PATCH",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Authorization, Content-Type, Last-Event-ID",
    hdrs.ACCESS_CONTROL_MAX_AGE: "600",
}
_SAFE = frozenset(("GET", "HEAD"))
# Routes that say nothing about a run, by their patterns. Everything else needs a token.
_OPEN = frozenset(("/", "/livez", "/readyz", "/login", "/logout", "/openapi.json", "/favicon.ico"))
_OPEN_BELOW = ("/runs/", "/static/", "/charts/")
_ADMIN = frozenset((("POST", "/v1/runs"),))


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers of security that a handler has not set itself; the name of the server is nobody's business."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers[hdrs.SERVER] = "seedstream"
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and request.app[SITES].is_other(origin):
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer an error with its problem."""
    try:
        return await handler(request)
    except ProblemError as problem:
        return respond(problem)
    except SeedstreamError as error:
        return respond(problem_of(error))
    except TimeoutError:
        return respond(ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "the answer took too long; try again"))
    except web.HTTPException as error:
        return _translated(error)


def _translated(error: web.HTTPException) -> web.StreamResponse:
    """Return a problem for an error of aiohttp, with its headers, such as `Allow`; a redirection stays as it is."""
    if error.status < HTTPStatus.BAD_REQUEST:
        raise error
    kept = {name: value for name, value in error.headers.items() if name not in ("Content-Type", "Content-Length")}
    return respond(ProblemError(HTTPStatus(error.status), error.text or error.reason, headers=kept))


@web.middleware
async def check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests to a name that is none of this service's."""
    request.app[SITES].check_host(request)
    return await handler(request)


@web.middleware
async def answer_preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell a page of a listed origin what it may send."""
    origin = request.headers.get(hdrs.ORIGIN)
    is_preflight = request.method == "OPTIONS" and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
    if is_preflight and origin is not None and request.app[SITES].is_other(origin):
        return web.Response(status=HTTPStatus.NO_CONTENT, headers=_CORS)
    return await handler(request)


@web.middleware
async def check_access(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests that their caller may not make, or that another page may have made in the caller's name."""
    pattern = _pattern_of(request)
    is_open = pattern in _OPEN or pattern.startswith(_OPEN_BELOW)
    caller = None if is_open else _caller_of(request)
    if (unrouted := request.match_info.http_exception) is not None:
        raise unrouted  # an unknown path, or a method that it does not have, whatever its body is
    if caller is not None:
        _check_scope(caller, _needed(request.method, pattern))
        request[CALLER] = caller
    has_token = hdrs.AUTHORIZATION in request.headers and caller is not None and caller is not ANYONE
    if request.method not in _SAFE and not has_token:
        _check_intent(request, by_session=caller is not ANYONE)
    return await handler(request)


def _pattern_of(request: web.Request) -> str:
    """Return the pattern of the route of a request, or an empty text if it has none."""
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical


def _needed(method: str, pattern: str) -> Scope:
    if method in _SAFE:
        return Scope.READ
    return Scope.ADMIN if (method, pattern) in _ADMIN else Scope.STEER


def _caller_of(request: web.Request) -> Caller:
    """Return who makes a request.

    Raises:
        ProblemError: nobody that is known.
    """
    tokens = request.app[TOKENS]
    if not tokens.are_needed:
        return ANYONE
    given = request.headers.get(hdrs.AUTHORIZATION)
    if given is not None:
        kind, _, token = given.partition(" ")
        caller = tokens.caller(token.strip()) if kind.lower() == "bearer" else None
        if caller is None:
            raise _unknown("expected a valid token as `Authorization: Bearer TOKEN`, got another", "invalid_token")
        return caller
    digest = request.app[SESSIONS].digest(request)
    caller = None if digest is None else tokens.caller_of(digest)
    if caller is None:
        raise _unknown("expected a token as `Authorization: Bearer TOKEN`, or the session of a login; got neither")
    return caller


def _unknown(detail: str, error: str | None = None) -> ProblemError:
    challenge = 'Bearer realm="seedstream"' + (f', error="{error}"' if error is not None else "")
    return ProblemError(HTTPStatus.UNAUTHORIZED, detail, headers={hdrs.WWW_AUTHENTICATE: challenge})


def _check_scope(caller: Caller, needed: Scope) -> None:
    if caller.scope < needed:
        challenge = f'Bearer realm="seedstream", error="insufficient_scope", scope="{needed.word}"'
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            f"expected a token with the scope {needed.word}, and {caller.name} has {caller.scope.word}",
            headers={hdrs.WWW_AUTHENTICATE: challenge},
        )


def _check_intent(request: web.Request, *, by_session: bool) -> None:
    """Raise unless a request that changes something is JSON and from no foreign page.

    Raises:
        ProblemError: a browser may send it in somebody's name, from a page that is not ours.
    """
    if request.content_type != "application/json":
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"expected Content-Type application/json, got {request.content_type[:100]!r}",
        )
    if not request.app[SITES].may_change(request, by_session=by_session):
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "expected a request of this service's own page (by its headers Origin and Sec-Fetch-Site), got another; "
            "programs send a token as `Authorization: Bearer TOKEN`",
        )


MIDDLEWARE = (answer_problems, check_host, answer_preflight, check_access)
