"""Sessions of browsers: the page gives a token once, and gets a cookie that scripts cannot read."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from service.web.server.access import Caller

_LASTS_S = 12 * 3600
_MOST = 1_000
_PLAIN, _SECURE = "seedstream_session", "__Host-seedstream_session"


@dataclass(frozen=True, slots=True)
class _Session:
    digest: bytes
    ends_s: float


class Sessions:
    """The sessions of one process, in its memory. The oldest ends where there are too many."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def begin(self, caller: Caller, request: web.Request, response: web.StreamResponse) -> None:
        """Begin a session of a caller, and give its cookie to the browser."""
        name = secrets.token_urlsafe(32)
        self._sessions[name] = _Session(caller.digest, self._clock() + _LASTS_S)
        while len(self._sessions) > _MOST:
            self._sessions.popitem(last=False)
        secure = _is_secure(request)
        response.set_cookie(
            _SECURE if secure else _PLAIN,
            name,
            max_age=_LASTS_S,
            path="/",
            secure=secure,
            httponly=True,
            samesite="Strict",
        )

    def digest(self, request: web.Request) -> bytes | None:
        """Return the digest of the token with which the session of a request began; None without a session."""
        name = _name_in(request)
        session = self._sessions.get(name)
        if session is None:
            return None
        if session.ends_s <= self._clock():
            del self._sessions[name]
            return None
        return session.digest

    def end(self, request: web.Request, response: web.StreamResponse) -> None:
        """End the session of a request, if it has one."""
        self._sessions.pop(_name_in(request), None)
        for name in (_PLAIN, _SECURE):
            if name in request.cookies:
                response.del_cookie(name, path="/", secure=name == _SECURE, httponly=True, samesite="Strict")


def _name_in(request: web.Request) -> str:
    return request.cookies.get(_SECURE) or request.cookies.get(_PLAIN) or ""


def _is_secure(request: web.Request) -> bool:
    """Return whether the browser is connected over TLS, here or at a proxy."""
    return request.secure or request.headers.get("Origin", "").startswith("https://")
