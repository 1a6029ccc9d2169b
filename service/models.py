"""Which language model answers, and what its answers cost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from anyio import Path as AsyncPath
from pydantic import SecretStr

from service.adapters.local import LocalOptions, local_model
from service.adapters.openai import OpenAIModel, OpenAIOptions
from service.errors import ConfigurationError
from service.lm import Completion, LanguageModel
from service.selfinstruct.recipe import Sampling
from service.settings import LmKind, Settings
from service.simulator import SimulatorOptions, serve

_MILLION = 1_000_000


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


def priced(model: LanguageModel, settings: Settings) -> LanguageModel:
    """Return the model with its prices, where they are known."""
    if settings.price_prompt is None or settings.price_completion is None:
        return model
    return PricedModel(model, settings.price_prompt, settings.price_completion)


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
