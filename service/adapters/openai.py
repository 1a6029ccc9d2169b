"""Language models behind OpenAI's HTTP interface: vLLM, SGLang, llama.cpp, Ollama, TGI, OpenAI and its likes.

The life of a call: the body is built once → attempts, each under a deadline → the answer is judged (`openai_replies`) →
a failure that may pass is tried again after a back-off, or after as long as the server asks.
"""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from types import SimpleNamespace, TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import anyio
import orjson
import structlog
from yarl import URL

from service.adapters.openai_options import OpenAIOptions
from service.adapters.openai_replies import (
    AttemptFailedError,
    Failing,
    Refusal,
    read_completion,
    read_models,
    server_text,
    shown,
)
from service.errors import UnansweredError
from service.lm import Completion
from service.retry import Backoff, retry_after_s
from service.selfinstruct.recipe import Sampling

__all__ = ["OpenAIModel", "OpenAIOptions"]

_Answer = TypeVar("_Answer")

_OK = 200
_MAX_BODY_BYTES = 8 * 1024 * 1024
_MAX_STOPS = 4  # OpenAI and TGI accept no more
_LONGEST_ASKED_WAIT_S = 120.0
_CONNECT_S = 5.0
_KEEPALIVE_S = 4.0  # uvicorn, under vLLM and SGLang, drops idle connections after five seconds

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True)
class _Request:
    """What is asked, how many calls were made for it, and whether the latest went over a connection used before."""

    method: str
    url: URL
    body: bytes | None = None
    calls: int = 0
    reused: bool = False


@dataclass
class OpenAIModel:
    """A `LanguageModel` over one HTTP session, which is open inside `async with`.

    Retries and their waits happen here; `sleep` and `random` are fields so that tests wait for nothing.
    """

    options: OpenAIOptions
    backoff: Backoff = field(default_factory=Backoff)
    random: Random = field(default_factory=Random)
    sleep: Callable[[float], Awaitable[object]] = anyio.sleep
    _session: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)

    async def __aenter__(self) -> Self:
        """Open the session."""
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_reuse)
        timeout_s = self.options.timeout_s
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(keepalive_timeout=_KEEPALIVE_S, limit=0, ttl_dns_cache=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self.options.headers,
            timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT_S, sock_connect=_CONNECT_S, sock_read=timeout_s),
            trace_configs=[trace],
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session and its connections; calls in flight are lost."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def complete(self, prompt: str, sampling: Sampling) -> Completion:
        """Return the completion of one prompt.

        Raises:
            CallFailedError: this call failed after all its attempts, or can never work (a prompt that is too long).
            EndpointRefusedError: every call would fail the same way: key, quota, address, model.
        """
        options = self.options
        path = "chat/completions" if options.api == "chat" else "completions"
        request = _Request("POST", URL(f"{options.root}/{path}"), request_body(options, prompt, sampling))
        completion = await self._ask(request, lambda body: read_completion(body, options, sampling.stop))
        return replace(completion, model=completion.model or options.model, attempts=request.calls)

    async def models(self) -> list[str]:
        """Return the names of the models that the server offers.

        Raises:
            CallFailedError, EndpointRefusedError: as for `complete`.
        """
        request = _Request("GET", URL(f"{self.options.root}/models"))
        return await self._ask(request, lambda body: read_models(body, self.options))

    async def _ask(self, request: _Request, read: Callable[[bytes], _Answer]) -> _Answer:
        """Attempt one request until it is answered, refused, or out of attempts."""
        last = self.options.max_attempts
        failing_since_s = math.inf
        for attempt in range(1, last + 1):
            try:
                return read(await self._attempt(request))
            except AttemptFailedError as failure:
                failing_since_s = min(failing_since_s, anyio.current_time())
                if attempt == last:
                    raise UnansweredError(
                        f"Expected an answer, but {last} attempts failed; the last one: {failure} "
                        "Check that the server is up and not overloaded.",
                        failing_s=anyio.current_time() - failing_since_s,
                    ) from failure
                wait_s = self._wait_s(attempt - 1, failure.after_s)
                logger.warning(
                    "lm.retried", attempt=attempt, failing=failure.failing, reason=str(failure), wait_s=round(wait_s, 3)
                )
                await self.sleep(wait_s)
        raise AssertionError  # max_attempts is at least one

    def _wait_s(self, retry: int, asked_s: float | None) -> float:
        """Wait as long as the server asks, within reason, and never less than the back-off (it may ask for 0)."""
        return max(self.backoff.delay_s(retry, self.random), min(asked_s or 0.0, _LONGEST_ASKED_WAIT_S))

    async def _attempt(self, request: _Request) -> bytes:
        """Return the body of an answer with status 200; a connection that died idle is replaced at no charge."""
        try:
            with anyio.fail_after(self.options.timeout_s):
                try:
                    return await self._send(request)
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                    if not request.reused:
                        raise
                    return await self._send(request)
        except (aiohttp.ClientError, OSError) as error:
            raise self._lost(request.url, error) from error

    def _lost(self, url: URL, error: Exception) -> AttemptFailedError:
        """Return what it amounts to that no answer came."""
        if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
            return AttemptFailedError(Failing.TIMEOUT, f"No answer from {url} within {self.options.timeout_s:g} s.")
        reason = shown(f"{type(error).__name__}: {error}", self.options.secrets)
        return AttemptFailedError(Failing.CONNECTION, f"The connection to {url} failed ({reason}).")

    async def _send(self, request: _Request) -> bytes:
        if self._session is None:
            raise RuntimeError("An OpenAIModel is used inside `async with`, which opens its session.")
        request.calls += 1
        request.reused = False
        async with self._session.request(
            request.method, request.url, data=request.body, allow_redirects=False, trace_request_ctx=request
        ) as response:
            body = await _read_bounded(response)
            if response.status == _OK:
                return body
            text = server_text(body, self.options.secrets)
            after_s = retry_after_s(response.headers, datetime.now(UTC))
            raise Refusal(str(request.url), response.status, body, text, after_s).as_error()


def request_body(options: OpenAIOptions, prompt: str, sampling: Sampling) -> bytes:
    """Return the JSON that asks for one completion; what has no effect is left out, since some servers refuse it."""
    body: dict[str, Any] = {
        "model": options.model,
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
    }
    if options.api == "chat":
        body["messages"] = [{"role": "user", "content": prompt}]
    else:
        body["prompt"] = prompt
    optional: dict[str, Any] = {
        "top_p": sampling.top_p,  # 0 goes with temperature 0, where it says nothing and vLLM refuses it
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "stop": sampling.stop[:_MAX_STOPS],
    }
    body |= {name: value for name, value in optional.items() if value}
    if options.seed is not None:
        body["seed"] = options.seed
    if sampling.ban_end_of_text and options.end_of_text_token is not None:
        body["logit_bias"] = {str(options.end_of_text_token): -100}
    return orjson.dumps(body)


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    """Return the whole body, or fail as soon as it is longer than any completion."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            response.close()
            message = f"The answer is longer than {_MAX_BODY_BYTES} bytes, more than any completion."
            raise AttemptFailedError(Failing.INVALID_BODY, message)
    return bytes(body)


async def _note_reuse(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _parameters: aiohttp.TraceConnectionReuseconnParams
) -> None:
    """Remember that this call goes over a connection that the server may have closed meanwhile."""
    context.trace_request_ctx.reused = True
