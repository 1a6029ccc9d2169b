"""HTTP calls to a batch API: each is made once, and its failure is what the table for live calls says it is."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

import aiohttp
import anyio
from yarl import URL

from service.adapters.openai.credentials import Credentials
from service.adapters.openai.error_body import shown
from service.adapters.openai.error_response import refusal_of
from service.adapters.openai.options import OpenAIOptions
from service.adapters.openai.urls import Addresses
from service.adapters.openai_batch.upload_form import Upload
from service.lm.errors import AttemptFailedError, Failing

_GOOD = range(200, 300)  # Azure says 201 for an upload
_MISSING = 404
_MAX_BODY_BYTES = 8 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_CONNECT_S = 5.0
_KEEPALIVE_S = 4.0  # uvicorn drops idle connections after five seconds
# An upload that is slower has stalled.
_LEAST_BYTES_A_SECOND = 100_000


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked. With `may_miss`, that there is no such thing is an answer too: an empty one."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    upload: Upload | None = None
    may_miss: bool = False


@dataclass(frozen=True, slots=True)
class Transport:
    """One HTTP session with one server. Redirects are not followed, cookies not kept, proxies not looked for."""

    options: OpenAIOptions
    credentials: Credentials
    session: aiohttp.ClientSession = field(repr=False)

    @classmethod
    @asynccontextmanager
    async def open(cls, options: OpenAIOptions, credentials: Credentials) -> AsyncIterator[Self]:
        """Open a session for as long as the block lasts."""
        timeout = aiohttp.ClientTimeout(
            total=None, connect=_CONNECT_S, sock_connect=_CONNECT_S, sock_read=options.timeout_s
        )
        connector = aiohttp.TCPConnector(keepalive_timeout=_KEEPALIVE_S, ttl_dns_cache=30)
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout, trust_env=False
        ) as session:
            yield cls(options, credentials, session)

    async def exchange(self, call: Call) -> bytes:
        """Return the body of a good answer.

        Raises:
            AttemptFailedError: nothing came of it, and the next attempt may succeed.
            CallFailedError: the server does not accept this.
            EndpointRefusedError: the server accepts nothing: key, quota, address.
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
        """Give `take` the content of a file in chunks; return whether there is such a file.

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
        """Return a server's words fit to be shown."""
        return shown(words, self.credentials.secrets)

    def _check(self, url: URL, response: aiohttp.ClientResponse, body: bytes) -> None:
        if response.status not in _GOOD:
            secrets, now = self.credentials.secrets, datetime.now(UTC)
            raise refusal_of(str(url), response.status, response.headers, body, secrets, now).as_error()

    @contextmanager
    def _translated(self, url: URL) -> Iterator[None]:
        """Turn it into a failed attempt that no answer came."""
        try:
            yield
        except (aiohttp.ClientError, OSError) as error:
            failing = Failing.TIMEOUT if isinstance(error, TimeoutError) else Failing.CONNECTION
            reason = self.shown(f"{type(error).__name__}: {error}")
            lost = AttemptFailedError(failing, f"The connection to {url} failed ({reason}).")
        else:
            return
        raise lost  # without its cause, which shows the headers


def address_of(addresses: Addresses, path: str, query: Mapping[str, str]) -> URL:
    """Return where files and batches are: beside the list of models, whatever a deployment is called."""
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
