"""Which language model answers, and what its answers cost."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import anyio
import structlog
from anyio import Path as AsyncPath
from pydantic import SecretStr

from service.adapters.local import LocalOptions, local_model
from service.adapters.openai import OpenAIModel, OpenAIOptions
from service.errors import CallFailedError, ConfigurationError, EndpointRefusedError, UnansweredError
from service.lm import Completion, LanguageModel
from service.selfinstruct.recipe import Sampling
from service.settings import LmKind, Settings
from service.simulator import SimulatorOptions, serve

_MILLION = 1_000_000
_PROBE_ATTEMPTS = 3

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PricedModel:
    """A model whose completions carry their cost, in US dollars for a million tokens."""

    model: LanguageModel
    prompt_price: float
    completion_price: float

    async def complete(self, prompt: str, sampling: Sampling) -> Completion:
        """Return the completion with what it cost; without usage its cost is not known."""
        completion = await self.model.complete(prompt, sampling)
        if completion.usage is None:
            return completion
        cost_usd = (
            completion.usage.prompt_tokens * self.prompt_price
            + completion.usage.completion_tokens * self.completion_price
        ) / _MILLION
        return replace(completion, cost_usd=cost_usd)


@dataclass(slots=True)
class WatchedModel:
    """A model that tells a call nobody answers from a server that answers nobody.

    While other calls are answered, a call that is out of attempts is a bad call. When none was in the later half of its
    failing, the server is away: to go on would only use up what is queued, so the run has to stop and keep it.
    """

    model: LanguageModel
    _answered_s: float = -math.inf

    async def complete(self, prompt: str, sampling: Sampling) -> Completion:
        """Return the completion; raises `EndpointRefusedError` where the server has answered nobody lately."""
        try:
            completion = await self.model.complete(prompt, sampling)
        except UnansweredError as error:
            if self._answered_s >= anyio.current_time() - error.failing_s / 2:
                raise
            raise EndpointRefusedError(
                f"the language model has answered no call lately. {error} Nothing is lost: run again when it is back."
            ) from error
        self._answered_s = anyio.current_time()
        return completion


async def probe(endpoint: OpenAIModel) -> list[str]:
    """Return the names of the server's models, none if it has no such list; a quick look before money is spent.

    Raises:
        ConfigurationError: the server cannot be reached.
    """
    try:
        async with OpenAIModel(replace(endpoint.options, max_attempts=_PROBE_ATTEMPTS)) as quick:
            return await quick.models()
    except EndpointRefusedError as error:
        log.info("endpoint.no_model_list", error=str(error))
        return []
    except CallFailedError as error:
        raise ConfigurationError(f"the language model cannot be reached: {error}") from error


@asynccontextmanager
async def open_endpoint(settings: Settings) -> AsyncIterator[OpenAIModel]:
    """Open the server that the settings name: a remote one, one on this machine, or the simulator."""
    match settings.lm:
        case LmKind.OPENAI:
            async with OpenAIModel(await _remote(settings)) as model:
                yield model
        case LmKind.LOCAL:
            api = settings.lm_api if "lm_api" in settings.model_fields_set else "completions"
            options = LocalOptions(slots=settings.calls_in_flight, seed=settings.seed, api=api)
            async with local_model(settings.model_file, options) as model:
                yield model
        case LmKind.SIMULATOR:
            async with (
                serve(SimulatorOptions(seed=settings.seed)) as simulator,
                OpenAIModel(OpenAIOptions(simulator.url, simulator.options.model, api="completions")) as model,
            ):
                yield model


def as_model(endpoint: OpenAIModel, settings: Settings) -> LanguageModel:
    """Return what the stages ask: the endpoint, watched, with its prices where they are known."""
    watched = WatchedModel(endpoint)
    if settings.price_prompt is None or settings.price_completion is None:
        return watched
    return PricedModel(watched, settings.price_prompt, settings.price_completion)


async def _remote(settings: Settings) -> OpenAIOptions:
    if settings.lm_url is None or settings.model is None:
        raise ConfigurationError("lm=openai needs lm_url and model")
    return OpenAIOptions(
        base_url=settings.lm_url,
        model=settings.model,
        api_key=await _api_key(settings),
        api=settings.lm_api,
        timeout_s=settings.lm_timeout_s,
        max_attempts=settings.lm_attempts,
        end_of_text_token=settings.lm_end_of_text_token,
    )


async def _api_key(settings: Settings) -> SecretStr | None:
    if settings.lm_api_key_file is None:
        return settings.lm_api_key
    try:
        return SecretStr((await AsyncPath(settings.lm_api_key_file).read_text("utf-8")).strip())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{settings.lm_api_key_file}: expected a readable file that holds the API key: {error}"
        ) from error
