"""Requests to the HTTP interface of a live service, and the errors that it answers with."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TypeVar

import aiohttp
import anyio
import msgspec
from msgspec import Struct
from yarl import URL

from service.errors import ConfigurationError, SeedstreamError
from service.lm.backoff import retry_after_s

T = TypeVar("T")

_CONNECT_S = 10.0
_MOST_BYTES = 64 * 1024 * 1024
_MOST_PROBLEM_BYTES = 64 * 1024
_PASSING = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
# Errors of aiohttp for a connection that cannot be made, or that ends before an answer does.
_LOST = (aiohttp.ClientError, OSError, TimeoutError)


class ServiceError(SeedstreamError):
    """A live service has refused a request, or cannot be reached.

    `status` is that of its answer, if there was one, and `command` a command line that mends the cause. `may_pass` says
    whether the same request may succeed later; the service may ask to wait `retry_after_s` before it.
    """

    def __init__(self, message: str, *, may_pass: bool = True, status: int | None = None) -> None:
        super().__init__(message)
        self.may_pass = may_pass
        self.status = status
        self.command: str | None = None
        self.retry_after_s: float | None = None


class _Problem(Struct):
    """A problem document (RFC 9457), as far as it is shown."""

    title: str = ""
    detail: str = ""
    command: str | None = None


class Connection:
    """A session with a service. It follows no redirects, which would carry the token elsewhere."""

    def __init__(self, url: URL, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, token: str | None) -> "AsyncIterator[Connection]":
        """Open a session; no request is made yet.

        Raises:
            ConfigurationError: the URL is not one of a service.
        """
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        ) as session:
            yield cls(_base(url), session)

    @asynccontextmanager
    async def answer(
        self,
        method: str,
        *parts: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: object = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request to `/v1/PART/…`, and yield its answer, whose body is still to be read.

        Raises:
            ServiceError: the service refuses the request or cannot be reached, also while the block reads the answer.
        """
        url = self._url.joinpath("v1", *parts).with_query(query or {})
        encoded = None if body is None else msgspec.json.encode(body)
        kind = {} if body is None else {"Content-Type": "application/json"}
        try:
            async with self._session.request(
                method, url, data=encoded, headers={**kind, **(headers or {})}, allow_redirects=False
            ) as response:
                if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                    raise await _refusal(response)
                yield response
        except _LOST as error:
            raise lost(error) from error

    async def ask(
        self,
        kind: type[T],
        method: str,
        *parts: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        timeout_s: float = 30.0,
    ) -> T:
        """Return the answer to a request, decoded.

        Raises:
            ServiceError: the service refuses the request, cannot be reached, or answers something else.
        """
        with anyio.move_on_after(timeout_s):
            async with self.answer(method, *parts, query=query, body=body) as response:
                text = await read_bounded(response, _MOST_BYTES)
                try:
                    return msgspec.json.decode(text, type=kind)
                except msgspec.DecodeError as error:
                    raise ServiceError(
                        f"{response.url}: expected the JSON of {kind.__name__}: {error}", may_pass=False
                    ) from error
        raise ServiceError(f"{self._url}: no answer within {timeout_s:g} s")


async def read_bounded(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the body of an answer.

    Raises:
        ServiceError: it is longer than `most` bytes.
    """
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > most:
            raise ServiceError(
                f"{response.url}: expected an answer of at most {most:,} bytes, and it is longer", may_pass=False
            )
    return bytes(body)


async def read_piece(response: aiohttp.ClientResponse) -> bytes:
    """Return the next piece of a body, as soon as there is one; it is empty at the end.

    Raises:
        ServiceError: the connection was lost.
    """
    try:
        return await response.content.readany()
    except _LOST as error:
        raise lost(error) from error


def lost(error: Exception) -> ServiceError:
    """Return the error for a connection that failed."""
    return ServiceError(f"the connection to the service failed: {str(error) or type(error).__name__}")


async def _refusal(response: aiohttp.ClientResponse) -> ServiceError:
    """Return the error that a service answers with."""
    try:
        problem = msgspec.json.decode(await read_bounded(response, _MOST_PROBLEM_BYTES), type=_Problem)
    except (msgspec.DecodeError, ServiceError):
        problem = _Problem()
    why = problem.detail or problem.title or response.reason or "no reason given"
    mend = "" if problem.command is None else f"; run: {problem.command}"
    refusal = ServiceError(
        f"{response.status} from {response.url.origin()}: {why}{mend}",
        may_pass=response.status in _PASSING,
        status=response.status,
    )
    refusal.command = problem.command
    headers = {name.lower(): value for name, value in response.headers.items()}
    refusal.retry_after_s = retry_after_s(headers, datetime.now(UTC))
    return refusal


def _base(url: str) -> URL:
    """Return the URL of a service, without a path of the interface."""
    try:
        base = URL(url)
    except ValueError:
        base = URL()
    if base.scheme not in {"http", "https"} or not base.host or base.user is not None or base.query_string:
        raise ConfigurationError(f"url: expected http://HOST:PORT or https://HOST of a live service, got {url!r}")
    return base
