"""Derives the URLs of the API methods from the user's base URL. Pure."""

import re
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from service.adapters.openai.server_profiles import Api, Dialect
from service.errors import ConfigurationError
from service.url_masking import masked

# A path that contains a version (/v1, /v1beta/openai, /api/paas/v4) is complete; any other gets /v1.
_VERSIONED = re.compile(r"/v\d+[a-z0-9]*(?:/|$)")
_METHOD = re.compile(r"/(?:chat/completions|completions|models)$")
_DEPLOYMENT = re.compile(r"(?P<root>.*/openai)/deployments/[^/]+$")
_API_VERSION = "api-version"
_OLDEST_LASTING_VERSION = "2024-10-21"

_BY_HOST = (
    (re.compile(r"api\.openai\.com"), Dialect.OPENAI),
    (re.compile(r".+\.(?:openai|services\.ai|cognitiveservices)\.azure\.(?:com|us|cn)"), Dialect.AZURE),
    (re.compile(r"openrouter\.ai"), Dialect.OPENROUTER),
)


class Addresses(Struct, frozen=True):
    """The URLs of an endpoint.

    `origin` ends before the path; `root` is the normalised base URL.
    """

    origin: str
    root: str
    chat: str
    completions: str
    models: str

    def of(self, api: Api) -> str:
        """Return the URL of completions under this API."""
        return self.chat if api == "chat" else self.completions


def dialect_of(url: str) -> Dialect | None:
    """Return the dialect of a well-known host, or `None` for a host that may run any server."""
    host = urlsplit(url).hostname or ""
    return next((dialect for pattern, dialect in _BY_HOST if pattern.fullmatch(host)), None)


def addresses(base_url: str, model: str, dialect: Dialect) -> Addresses:
    """Return the URLs for a base URL, which may lack its version or be the URL of a method."""
    parts = urlsplit(base_url)
    origin = f"{parts.scheme}://{parts.netloc}"
    path = _METHOD.sub("", parts.path.rstrip("/"))
    if dialect is Dialect.AZURE:
        return _azure(origin, path, parts.query, model)
    if dialect is Dialect.OPENROUTER and not path:
        path = "/api"
    root = origin + (path if _VERSIONED.search(path) else f"{path}/v1")
    return _under(origin, root, root, f"?{parts.query}" if parts.query else "")


def _azure(origin: str, path: str, query: str, model: str) -> Addresses:
    """Return Azure's URLs: those of one deployment in the older API, or those under /openai/v1."""
    if not query and path in {"", "/openai"}:
        path = "/openai/v1"
    elif query and path in {"", "/openai"}:
        path = f"/openai/deployments/{model}"
    deployment = _DEPLOYMENT.fullmatch(path)
    if deployment and not query:
        query = f"{_API_VERSION}={_OLDEST_LASTING_VERSION}"
    models = deployment["root"] if deployment else path
    return _under(origin, origin + path, origin + models, f"?{query}" if query else "")


def _under(origin: str, root: str, models: str, query: str) -> Addresses:
    return Addresses(
        origin, root, f"{root}/chat/completions{query}", f"{root}/completions{query}", f"{models}/models{query}"
    )


def check_address(url: str) -> None:
    """Raise unless a base URL is valid; the message never repeats a URL that may hold a password.

    Raises:
        ConfigurationError: the URL cannot be a server's base URL.
    """
    try:
        parts = urlsplit(url)
        has_port_or_none = parts.port is None or parts.port > 0
    except ValueError as error:
        if "@" in url:  # the reason may repeat a part of the password, and so may the cause
            raise ConfigurationError("The base URL of the language model cannot be read.") from None
        raise ConfigurationError(f"The base URL of the language model cannot be read ({error}).") from error
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            "The base URL of the language model holds a user name or password: take it out and give an API key instead."
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname or not has_port_or_none:
        raise ConfigurationError(
            "The base URL of the language model must look like https://host/v1 or http://host:8000, and "
            f"{masked(url)!r} came."
        )
    if parts.fragment or not set(parse_qs(parts.query, keep_blank_values=True)) <= {_API_VERSION}:
        raise ConfigurationError(
            "The base URL of the language model ends with its path (and Azure's ?api-version=…): take out what else "
            "follows the ? or #, and send what a server wants besides as extra headers."
        )
