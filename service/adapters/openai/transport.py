"""HTTP requests with deadlines, size limits, and a retry for connections that died while idle."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import anyio
from msgspec import Struct
from yarl import URL

from service.adapters.openai.certificates import aiohttp, trusted_by
from service.adapters.openai.error_body import shown, words_of
from service.lm.errors import AttemptFailedError, CallFailedError, Failing

_OK = 200
_MAX_BODY_BYTES = 8 * 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024
_CONNECT_S = 5.0
_KEEPALIVE_S = 4.0  # uvicorn, under vLLM and SGLang, closes idle connections after five seconds
_DNS_CACHE_S = 30


class Question(Struct, frozen=True):
    """A request: a POST if it has a body, else a GET."""

    url: URL
    headers: Mapping[str, str]
    secrets: tuple[str, ...]
    body: bytes | None = None


class Answer(Struct, frozen=True):
    """A response of any status."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_good(self) -> bool:
        """Whether the status is 200."""
        return self.status == _OK


@dataclass(slots=True)
class _Use:
    """Whether a request used a pooled connection, which the server may have closed meanwhile."""

    reused: bool = False


_use: ContextVar[_Use] = ContextVar("_use")


class _Connector(aiohttp.TCPConnector):
    """Notes which requests got a new connection. A trace of aiohttp would too, for half the cost of a request."""

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the signature is aiohttp's
    ) -> aiohttp.client_proto.ResponseHandler:
        _use.get().reused = False
        return await super()._create_connection(req, traces, timeout)


@dataclass(eq=False)
class Transport:
    """An HTTP session, open inside `async with`; it ignores redirects, cookies and proxy settings.

    A pooled connection that died while idle fails at once. A failure after more than `stale_s` seconds means that the
    server had begun to work on the request, which is then not repeated here. `base_url` tells whether TLS is needed.
    """

    base_url: str
    stale_s: float = 1.0
    _session: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)

    async def __aenter__(self) -> Self:
        """Open the session."""
        self._session = aiohttp.ClientSession(
            connector=_Connector(
                keepalive_timeout=_KEEPALIVE_S, limit=0, ttl_dns_cache=_DNS_CACHE_S, ssl=await trusted_by(self.base_url)
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT_S, sock_connect=_CONNECT_S),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session and its connections; calls in flight fail."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, question: Question, timeout_s: float) -> Answer:
        """Send a request and return the response.

        Raises:
            AttemptFailedError: no response came within `timeout_s`, or the connection failed.
            CallFailedError: the body is longer than any completion, 8 MiB.
        """
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + timeout_s):
                async with await self._sent(question) as response:
                    return Answer(response.status, response.headers, await _read_bounded(response))
            lost = _late(question, timeout_s)
        except (aiohttp.ClientError, OSError) as error:
            lost = _lost(question, error, timeout_s)
        raise lost  # without its cause, which would show the headers

    async def _sent(self, question: Question) -> aiohttp.ClientResponse:
        """Send a request, and once more if a pooled connection had died while idle."""
        use = _Use()
        began_s = anyio.current_time()
        try:
            return await self._send(question, use)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if not use.reused or anyio.current_time() - began_s > self.stale_s:
                raise
        return await self._send(question, use)

    async def _send(self, question: Question, use: _Use) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("An OpenAIEndpoint is used inside `async with`, which opens its session.")
        _use.set(use)
        use.reused = True
        return await self._session.request(
            "GET" if question.body is None else "POST",
            question.url,
            data=question.body,
            headers=question.headers,
            allow_redirects=False,
        )


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    """Return the body; fail once it exceeds the limit if the status is 200, else return its beginning."""
    good = response.status == _OK
    most = _MAX_BODY_BYTES if good else _MAX_ERROR_BYTES
    length = response.content_length
    if length is not None and length <= most and "Content-Encoding" not in response.headers:
        return await response.read()
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > most:
            response.close()
            break
    if good and len(body) > most:
        message = f"The answer is longer than {most:,} bytes, more than any completion: does the model ever end?"
        raise CallFailedError(message, Failing.INVALID_BODY)
    return bytes(body[:most])


def _lost(question: Question, error: Exception, timeout_s: float) -> AttemptFailedError:
    """Return the error for a request without a response: a timeout or a failed connection."""
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
        return _late(question, timeout_s)
    reason = shown(words_of(error), question.secrets)
    return AttemptFailedError(Failing.CONNECTION, f"The connection to {question.url} failed ({reason}).")


def _late(question: Question, timeout_s: float) -> AttemptFailedError:
    return AttemptFailedError(Failing.TIMEOUT, f"No answer from {question.url} within {timeout_s:g} s.")
