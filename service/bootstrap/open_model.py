"""Opens a language model: the servers that the settings name, behind one dispatcher, with their prices."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio.abc import TaskStatus

from service.adapters.openai import OpenAIEndpoint, OpenAIOptions
from service.billing.priced_model import PricedModel
from service.bootstrap.api_key_file import follow_key, read_key
from service.bootstrap.asked_model import AskedModel, AskedModels
from service.errors import ConfigurationError
from service.lm.dispatch import Dispatcher, Patience
from service.lm.errors import AttemptFailedError, CallFailedError, EndpointRefusedError
from service.lm.port import Endpoint, LanguageModel
from service.lm.stage_model import EitherInterface
from service.settings import LmKind, Settings

if TYPE_CHECKING:
    from service.adapters.openai_batch import BatchEndpoint

_PROBE_ATTEMPTS = 3
_PROBE_WAIT_S = 0.5
_LOOK_AGAIN_S = 10.0

log = structlog.get_logger()


@asynccontextmanager
async def open_model(settings: Settings, patience: Patience, *, in_both: bool = False) -> AsyncIterator[AskedModel]:
    """Open the model: on one or several servers, on this machine, or in the simulator.

    `in_both` opens it over the other interface as well; prompts name theirs.

    Raises:
        ConfigurationError: a setting is invalid, or a file cannot be read.
    """
    async with AsyncExitStack() as stack:
        endpoints = await _open_endpoints(settings, stack)
        asked = await _asked(settings, endpoints, stack)
        upstreams: Sequence[Endpoint] = asked
        if in_both:
            others = [await stack.enter_async_context(_over_other_interface(each)) for each in endpoints]
            asked_too = await _asked(settings, others, stack)
            chat, completions = (asked, asked_too) if settings.api == "chat" else (asked_too, asked)
            upstreams = [EitherInterface(*pair) for pair in zip(chat, completions, strict=True)]
            endpoints, asked = [*endpoints, *others], [*asked, *asked_too]
        dispatcher = await stack.enter_async_context(
            Dispatcher.over(upstreams, settings.calls_in_flight, patience, watches_pace=not settings.lm_batch).running()
        )
        if settings.lm_api_key_file is not None:
            background = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(background.cancel_scope.cancel)
            key, users = endpoints[0].options.api_key, [*endpoints, *asked]
            background.start_soon(follow_key, settings.lm_api_key_file, key, users, dispatcher.try_again)
        name = endpoints[0].options.model
        model, is_remote = _priced(dispatcher, settings, name), settings.lm is LmKind.OPENAI
        yield AskedModel(model, dispatcher, name, endpoints, settings.api, is_remote=is_remote)


async def _asked(
    settings: Settings, endpoints: Sequence[OpenAIEndpoint], stack: AsyncExitStack
) -> "Sequence[OpenAIEndpoint | BatchEndpoint]":
    """Return what is asked on these servers: the servers, or the batch API of the only one."""
    if not settings.lm_batch:
        return endpoints
    return [await stack.enter_async_context(_in_batches(settings, endpoints[0].options))]


def _over_other_interface(endpoint: OpenAIEndpoint) -> OpenAIEndpoint:
    return OpenAIEndpoint(replace(endpoint.options, api="completions" if endpoint.options.api == "chat" else "chat"))


def _in_batches(settings: Settings, options: OpenAIOptions) -> AbstractAsyncContextManager["BatchEndpoint"]:
    from service.adapters.openai_batch import BatchEndpoint, BatchOptions

    return BatchEndpoint.open(BatchOptions(options, settings.run, linger_s=settings.lm_batch_linger_s))


async def probe(models: AskedModels) -> dict[OpenAIEndpoint, AttemptFailedError]:
    """Check that each server can be reached, and detect its kind, before any paid call.

    Return the unreachable servers with their errors, if at least one server of each model can be reached.

    Raises:
        ConfigurationError: no server of a model can be reached; names the stages of each such model.
    """
    failures = await _unreachable(models)
    gone = [asked for asked in models.each if asked.endpoints and all(each in failures for each in asked.endpoints)]
    if gone:
        whose = {asked: f" of {asked.stages}" if len(models.each) > 1 else "" for asked in gone}
        raise ConfigurationError(
            "; ".join(
                f"the language model{whose[asked]} cannot be reached: {failures[asked.endpoints[0]]}" for asked in gone
            )
        )
    return failures


async def detect_servers(models: AskedModels, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
    """Detect the kind of each server; started once all have been asked, it waits for those that are away."""
    away = await _unreachable(models)
    task_status.started()
    async with anyio.create_task_group() as tasks:
        for endpoint in away:
            tasks.start_soon(_detect_when_back, endpoint)


async def _detect_when_back(endpoint: OpenAIEndpoint) -> None:
    while True:
        await anyio.sleep(_LOOK_AGAIN_S)
        if await _probed(endpoint) is None:
            return


async def _unreachable(models: AskedModels) -> dict[OpenAIEndpoint, AttemptFailedError]:
    """Detect the kind of each server; return the unreachable ones with their errors."""
    endpoints = [endpoint for asked in models.each for endpoint in asked.endpoints]
    failures = {endpoint: why for endpoint in endpoints if (why := await _probed(endpoint)) is not None}
    for failure in failures.values():
        log.warning("lm.unreachable", reason=str(failure))
    return failures


async def _probed(endpoint: OpenAIEndpoint) -> AttemptFailedError | None:
    """Return the error if a server cannot be reached, else `None`; a refused or missing list of models is no error."""
    for attempt in range(1, _PROBE_ATTEMPTS + 1):
        try:
            await endpoint.models()
        except AttemptFailedError as failure:
            if attempt == _PROBE_ATTEMPTS:
                return failure
            await anyio.sleep(_PROBE_WAIT_S * attempt)
        except (CallFailedError, EndpointRefusedError) as error:
            log.info("lm.no_model_list", endpoint=endpoint.name, error=str(error))
            break
        else:
            break
    await endpoint.detect()
    return None


async def _open_endpoints(settings: Settings, stack: AsyncExitStack) -> list[OpenAIEndpoint]:
    match settings.lm:
        case LmKind.OPENAI:
            options = await _remote(settings)
            return [await stack.enter_async_context(OpenAIEndpoint(each)) for each in options]
        case LmKind.LOCAL:
            from service.adapters.llamacpp.endpoint import LocalOptions, local_model

            local = LocalOptions(slots=settings.calls_in_flight, seed=settings.seed, api=settings.api)
            return [await stack.enter_async_context(local_model(settings.model_file, local))]
        case LmKind.SIMULATOR:
            from service.simulator import SimulatorOptions, serve

            simulator = await stack.enter_async_context(serve(SimulatorOptions(seed=settings.seed)))
            options = [OpenAIOptions(simulator.url, simulator.options.model, api=settings.api)]
            return [await stack.enter_async_context(OpenAIEndpoint(options[0]))]


def _priced(dispatcher: Dispatcher, settings: Settings, model: str) -> LanguageModel:
    table = settings.prices_for(model)
    return dispatcher if table is None else PricedModel(dispatcher, table, model, batch=settings.lm_batch)


async def _remote(settings: Settings) -> list[OpenAIOptions]:
    if not settings.lm_urls or settings.model is None:
        raise ConfigurationError("lm=openai needs lm_url and model")
    key = settings.lm_api_key if settings.lm_api_key_file is None else await read_key(settings.lm_api_key_file)
    return [
        OpenAIOptions(
            base_url=url,
            model=settings.model,
            api_key=key,
            api=settings.lm_api,
            dialect=settings.lm_dialect,
            timeout_s=settings.lm_timeout_s,
            end_of_text_token=settings.lm_end_of_text_token,
            omit=settings.lm_omit,
            thinking_tokens=None if settings.lm_thinking_tokens == "auto" else settings.lm_thinking_tokens,
            extra_headers=settings.lm_headers,
        )
        for url in settings.lm_urls
    ]
