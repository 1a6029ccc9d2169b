"""Middleware, from the outermost to the innermost, and the headers of every answer."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from service.errors import SeedstreamError
from service.web.keys import CALLER
from service.web.problems import ProblemError, problem_of, respond
from service.web.server.access import ANYONE

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# The page has no script, style or connection that is not a file or a path of this server.
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Add the headers of security that a handler has not set itself; the name of the server is nobody's business."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "seedstream"


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer an error with its problem. An answer that has begun is cut off by it."""
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
async def name_caller(request: web.Request, handler: Handler) -> web.StreamResponse:
    request[CALLER] = ANYONE
    return await handler(request)


MIDDLEWARE = (answer_problems, name_caller)
