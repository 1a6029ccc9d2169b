"""Opens the models of several stages: one for each pair of server and model, shared by the stages that ask it."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from hashlib import sha256

from service.bootstrap.asked_model import AskedModel, AskedModels
from service.bootstrap.open_model import open_model
from service.errors import ConfigurationError
from service.lm.dispatch import Patience
from service.lm.stage_model import StageModel
from service.selfinstruct.steps import Step
from service.settings import ModelId, Settings


@asynccontextmanager
async def open_models(settings: Settings, patience: Patience, steps: Sequence[Step]) -> AsyncIterator[AskedModels]:
    """Open the models of these steps, and no others.

    Raises:
        ConfigurationError: a setting is invalid, or a file cannot be read; where there are several models, the message
            names the steps.
    """
    opened: dict[Step, AskedModel] = {}
    async with AsyncExitStack() as stack:
        for same in _sharing(settings, steps):
            with _named("" if settings.asks_one_model else " and ".join(same)):
                opened |= await stack.enter_async_context(_opened(settings, patience, same))
        yield AskedModels({step: opened[step] for step in steps})


def _sharing(settings: Settings, steps: Sequence[Step]) -> list[list[Step]]:
    """Return the steps in groups that ask the same model."""
    groups: dict[ModelId, list[Step]] = {}
    for step in steps:
        groups.setdefault(settings.of_step(step).asked_model, []).append(step)
    return list(groups.values())


@asynccontextmanager
async def _opened(
    settings: Settings, patience: Patience, steps: Sequence[Step]
) -> AsyncIterator[dict[Step, AskedModel]]:
    """Open the model that these steps have in common."""
    apis = {step: settings.of_step(step).api for step in steps}
    of_model, in_both = settings.of_step(steps[0]), len(set(apis.values())) > 1
    async with open_model(of_model, patience, in_both=in_both) as asked:
        place = "" if of_model.asked_model == settings.asked_model else _digest(of_model.asked_model)
        own = replace(asked, steps=tuple(steps), place=place)
        if settings.asks_one_model and not in_both:
            yield dict.fromkeys(steps, own)
            return
        name = None if settings.asks_one_model else asked.name
        models = {step: StageModel(asked.model, api, name) for step, api in apis.items()}
        yield {step: replace(own, model=model, api=model.api) for step, model in models.items()}


def _digest(model: ModelId) -> str:
    """Return sixteen hexadecimal digits for a server and a model, the same in every process."""
    named = "\0".join((model.lm, *sorted(model.urls), model.name or "", str(model.file or "")))
    return sha256(named.encode()).hexdigest()[:16]


@contextmanager
def _named(steps: str) -> Iterator[None]:
    """Name the steps in an error about their model."""
    try:
        yield
    except ConfigurationError as error:
        if steps:
            raise ConfigurationError(f"the model of {steps}: {error}") from error
        raise
