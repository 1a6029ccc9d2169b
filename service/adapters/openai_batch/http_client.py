"""HTTP calls to a batch API. Each is made once; failures are classified as for live calls."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

import anyio
from yarl import URL

from service.adapters.openai.certificates import aiohttp, trusted_by
from service.adapters.openai.credentials import Credentials
from service.adapters.openai.error_body import shown, words_of
from service.adapters.openai.error_response import refusal_of
from service.adapters.openai.options import OpenAIOptions
from service.adapters.openai.urls import Addresses
from service.adapters.openai_batch.upload_form import Upload
from service.lm.errors import AttemptFailedError, Failing

_GOOD = range(200, 300)  # Azure answers 201 to an upload
_MISSING = 404
_MAX_BODY_BYTES = 8 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_CONNECT_S = 5.0
_KEEPALIVE_S = 4.0  # uvicorn drops idle connections after five seconds
# A slower upload counts as stalled.
_LEAST_BYTES_A_SECOND = 100_000


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request. With `may_miss`, a 404 is no error and gives an empty body."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    upload: Upload | None = None
    may_miss: bool = False


@dataclass(frozen=True, slots=True)
class Transport:
    """One HTTP session with one server, without redirects, cookies and proxies from the environment."""

    options: OpenAIOptions
    credentials: Credentials
    session: aiohttp.ClientSession = field(repr=False)

    @classmethod
    @asynccontextmanager
    async def open(cls, options: OpenAIOptions, credentials: Credentials) -> AsyncIterator[Self]:
        """Open a session, which is closed when the block is left."""
        timeout = aiohttp.ClientTimeout(
            total=None, connect=_CONNECT_S, sock_connect=_CONNECT_S, sock_read=options.timeout_s
        )
        connector = aiohttp.TCPConnector(
            keepalive_timeout=_KEEPALIVE_S, ttl_dns_cache=30, ssl=await trusted_by(options.base_url)
        )
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout, trust_env=False
        ) as session:
            yield cls(options, credentials, session)

    async def exchange(self, call: Call) -> bytes:
        """Send a request and return the body of its 2xx response.

        Raises:
            AttemptFailedError: this attempt failed, and the next may succeed.
            CallFailedError: the server rejects this request.
            EndpointRefusedError: the server rejects every request: key, quota, address.
        """
        upload, url = call.upload, address_of(self.options.addresses, call.path, call.query)
        headers = {**self.credentials.headers, **(upload.headers if upload else {})}
        content = upload.chunks() if upload else call.body
        patience_s = self.options.timeout_s + (upload.size / _LEAST_BYTES_A_SECOND if upload else 0.0)
        with self._translated(url), anyio.fail_after(patience_s):
            async with self.session.request(
                call.method, url, data=content, headers=headers, allow_redirects=False
            ) as response:
                body = await _read_bounded(response)
                if call.may_miss and response.status == _MISSING:
                    return b""
                self._check(url, response, body)
                return body

    async def download(self, path: str, take: Callable[[bytes], None]) -> bool:
        """Pass the content of a file to `take` in chunks; return whether the file exists.

        Raises:
            AttemptFailedError, CallFailedError, EndpointRefusedError: as for `exchange`.
        """
        url, headers = address_of(self.options.addresses, path, {}), self.credentials.headers
        with self._translated(url):
            async with self.session.get(url, headers=headers, allow_redirects=False) as response:
                if response.status == _MISSING:
                    return False
                if response.status not in _GOOD:
                    self._check(url, response, await _read_bounded(response))
                async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                    take(chunk)
        return True

    def shown(self, words: str) -> str:
        """Return a server's message fit for display: one bounded line without our secrets."""
        return shown(words, self.credentials.secrets)

    def _check(self, url: URL, response: aiohttp.ClientResponse, body: bytes) -> None:
        if response.status not in _GOOD:
            secrets, now = self.credentials.secrets, datetime.now(UTC)
            raise refusal_of(str(url), response.status, response.headers, body, secrets, now).as_error()

    @contextmanager
    def _translated(self, url: URL) -> Iterator[None]:
        """Translate connection errors and timeouts into `AttemptFailedError`."""
        try:
            yield
        except (aiohttp.ClientError, OSError) as error:
            failing = Failing.TIMEOUT if isinstance(error, TimeoutError) else Failing.CONNECTION
            reason = self.shown(words_of(error))
            lost = AttemptFailedError(failing, f"The connection to {url} failed ({reason}).")
        else:
            return
        raise lost  # without its cause, which shows the headers


def address_of(addresses: Addresses, path: str, query: Mapping[str, str]) -> URL:
    """Return the URL of files or batches: a sibling of the list of models, whatever the deployment's own path."""
    models = URL(addresses.models, encoded=True)
    return URL(f"{models.parent}/{path}", encoded=True).with_query({**models.query, **query})


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            response.close()
            message = f"The answer is longer than {_MAX_BODY_BYTES} bytes, more than any description of a batch."
            raise AttemptFailedError(Failing.INVALID_BODY, message)
    return bytes(body)
