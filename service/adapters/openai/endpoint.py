"""A server with an OpenAI-compatible API: vLLM, SGLang, llama.cpp, Ollama, TGI, OpenAI, Azure and others."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr
from yarl import URL

from service.adapters.openai.credentials import Credentials
from service.adapters.openai.description import Description, describe
from service.adapters.openai.error_response import Refusal, refusal_of
from service.adapters.openai.model_list import ListedModel, read_model_list
from service.adapters.openai.negotiation import Negotiation
from service.adapters.openai.options import OpenAIOptions
from service.adapters.openai.request import request_body
from service.adapters.openai.response import Asked, Reading, read_completion, read_object
from service.adapters.openai.server_detection import find_out
from service.adapters.openai.server_profiles import PROFILES, Profile
from service.adapters.openai.transport import Answer, Question, Transport
from service.adapters.openai.urls import Addresses
from service.lm.port import Completion
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Sampling

_DETECTION_S = 5.0

log = structlog.get_logger()


@dataclass(eq=False)
class OpenAIEndpoint:
    """An `Endpoint` over one HTTP session, which is open inside `async with`.

    The endpoint remembers parameters that the server refuses by name, and the results of `detect`.
    """

    options: OpenAIOptions
    name: str = field(init=False)
    _addresses: Addresses = field(init=False, repr=False)
    _url: URL = field(init=False, repr=False)
    _credentials: Credentials = field(init=False, repr=False)
    _negotiation: Negotiation = field(init=False, repr=False)
    _transport: Transport = field(init=False, repr=False)
    _how: str = field(default="nothing was looked for", init=False, repr=False)
    _offers: tuple[ListedModel, ...] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        """Compute the URL, name, profile and credentials that all calls share."""
        options = self.options
        self._addresses = options.addresses
        self._url = URL(self._addresses.of(options.api), encoded=True)
        self.name = f"{urlsplit(options.base_url).netloc}/{options.model}"
        self._negotiation = Negotiation(
            self.name, options.api, options.profile, thinking_tokens=options.thinking_tokens
        )
        self._transport = Transport(options.base_url)
        self._credentials = Credentials(options.profile.auth, options.extra_headers, options.api_key)

    async def __aenter__(self) -> Self:
        """Open the session."""
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session and its connections; calls in flight fail."""
        await self._transport.__aexit__(kind, error, trace)

    def use_key(self, key: SecretStr | None) -> None:
        """Send this API key from the next call on, or no key.

        Raises:
            ConfigurationError: the key contains a line break or another control character.
        """
        self._credentials.use(key)

    async def attempt(self, prompt: ModelInput, sampling: Sampling) -> Completion:
        """Request a completion; a repeat because the server refused a parameter belongs to the same attempt.

        Raises:
            AttemptFailedError: the attempt failed, and the next may succeed.
            CallFailedError: this call can never succeed.
            EndpointRefusedError: every call would fail the same way: key, quota, address, model.
        """
        return await self._negotiation.ask(
            lambda profile: self._try(profile, prompt, sampling), prompt, lambda refusal, hint: refusal.as_error(hint)
        )

    async def models(self) -> list[str]:
        """Return the names of the models that the server lists at GET /models.

        Raises:
            AttemptFailedError, CallFailedError, EndpointRefusedError: as for `attempt`.
        """
        url = self._addresses.models
        answer = await self._ask(URL(url, encoded=True), None, self.options.timeout_s)
        if not answer.is_good:
            raise self._refusal(url, answer).as_error()
        return [offer.name for offer in read_model_list(read_object(answer.body, url, self._credentials.secrets))]

    async def detect(self) -> Description:
        """Detect the kind of server, use its profile from now on, and return the description.

        A server that is not recognised counts as generic; its responses never make this method raise.
        """
        found = await find_out(self._get, self.options, self._addresses)
        self._negotiation.profile = PROFILES[found.clue.dialect]
        self._how, self._offers = found.clue.how, found.listed
        log.info("lm.detected", endpoint=self.name, dialect=found.clue.dialect, how=self._how)
        return self.describe()

    def describe(self) -> Description:
        """Return the description of the server as far as it is known; makes no request."""
        options = self.options
        return describe(
            self._addresses.root, options.model, options.api, self._negotiation.profile, self._how, self._offers
        )

    async def _try(self, profile: Profile, prompt: ModelInput, sampling: Sampling) -> Reading | Refusal:
        """Make one request under a profile and return its completion, or the refusal in its error body."""
        options = self.options
        answer = await self._ask(self._url, request_body(options, profile, prompt, sampling), options.timeout_s)
        url = str(self._url)
        if not answer.is_good:
            return self._refusal(url, answer)
        return read_completion(
            answer.body, Asked(url, options.api, options.model, sampling.stop, self._credentials.secrets, prompt)
        )

    async def _ask(self, url: URL, body: bytes | None, timeout_s: float) -> Answer:
        credentials = self._credentials
        return await self._transport.ask(Question(url, credentials.headers, credentials.secrets, body), timeout_s)

    async def _get(self, url: str) -> Answer:
        return await self._ask(URL(url, encoded=True), None, min(_DETECTION_S, self.options.timeout_s))

    def _refusal(self, url: str, answer: Answer) -> Refusal:
        return refusal_of(url, answer.status, answer.headers, answer.body, self._credentials.secrets, datetime.now(UTC))
