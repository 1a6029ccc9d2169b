"""The names by which browsers may reach the service, and the pages that may call it."""

from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web

from service.errors import ConfigurationError
from service.settings import Settings
from service.web.problems import ProblemError

_LOCAL = "localhost"
_SAME = frozenset(("same-origin", "none"))


class Sites:
    """The allowed hosts and origins of one service."""

    def __init__(self, settings: Settings) -> None:
        self._hosts = {_LOCAL, settings.web_host.lower(), *(each.lower() for each in settings.web_hosts)}
        self._others = frozenset(each.lower().rstrip("/") for each in settings.web_origins)

    def check_host(self, request: web.Request) -> None:
        """Raise unless the request was sent to a name of this service.

        Another name may be one that a foreign page has bound to this address, to read the answers as its own. An
        address is no name.

        Raises:
            ProblemError: the host is none of this service.
        """
        given = request.headers.getall("Host", [])
        if len(given) != 1:
            raise ProblemError(HTTPStatus.BAD_REQUEST, f"expected one Host header, got {len(given)}")
        name = _host_of(given[0])
        if name not in self._hosts and not _is_address(name):
            raise ProblemError(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"expected a host of this service, got {given[0][:200]!r}; web_hosts names those besides its address",
            )

    def is_other(self, origin: str) -> bool:
        """Return whether an origin is one of those that may call the API from elsewhere."""
        return origin.lower() in self._others

    def is_own(self, request: web.Request) -> bool:
        """Return whether the page of this service made a request, as the browser says."""
        origin = request.headers.get("Origin")
        if origin is not None:
            return urlsplit(origin).netloc.lower() == request.headers["Host"].lower()
        return request.headers.get("Sec-Fetch-Site", "") in _SAME

    def may_change(self, request: web.Request, *, by_session: bool) -> bool:
        """Return whether a request without a token may change something: no page elsewhere must have made it.

        A request without a session may come from a program, which sends neither header.
        """
        if self.is_own(request):
            return True
        origin = request.headers.get("Origin")
        if by_session or (request.headers.get("Sec-Fetch-Site") is not None and origin is None):
            return False
        return origin is None or self.is_other(origin)


def check_exposure(settings: Settings) -> None:
    """Raise if other machines could reach the service and nobody would need a token.

    Raises:
        ConfigurationError: the message says how to give tokens.
    """
    if settings.web_tokens is None and not settings.web_insecure_no_auth and not is_loopback(settings.web_host):
        raise ConfigurationError(
            f"web_host {settings.web_host}: expected tokens where other machines reach the port, and there are none: "
            "give a file of them with --web-tokens (a line NAME:admin:TOKEN; `openssl rand -hex 32` prints a token), "
            "or --insecure-no-auth"
        )


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a service at an address."""
    return host == _LOCAL or (_is_address(host) and ip_address(host).is_loopback)


def _host_of(given: str) -> str:
    try:
        return (urlsplit(f"//{given}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
