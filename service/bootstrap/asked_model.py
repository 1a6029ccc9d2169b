"""The model that a process asks, and the API of its calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from service.lm.dispatch import Dispatcher
from service.lm.port import LanguageModel
from service.selfinstruct.recipe import Recipe

if TYPE_CHECKING:  # a role that calls no model has one of `None`, and no need of an HTTP client
    from service.adapters.openai import OpenAIEndpoint

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AskedModel:
    """The model for the stages (with prices), its dispatcher, its name, and the servers behind it."""

    model: LanguageModel
    dispatcher: Dispatcher
    name: str
    endpoints: Sequence["OpenAIEndpoint"] = ()


def warn_of_other_api(asked: AskedModel, recipe: Recipe) -> None:
    """Warn if the API differs from the recipe's (chat or completions), since replies are parsed by the recipe."""
    if (api := other_api(asked, recipe)) is not None:
        log.warning("lm.other_api", asked_over=api, recipe=recipe.title, remedy=other_api_remedy(recipe))


def other_api(asked: AskedModel, recipe: Recipe) -> str | None:
    """Return the API of the calls if it is not the recipe's."""
    if not asked.endpoints or (api := asked.endpoints[0].options.api) == recipe.api:
        return None
    return api


def other_api_remedy(recipe: Recipe) -> str:
    """Return how to ask over the recipe's API."""
    return f"ask with lm_api={recipe.api}, or begin another run: this one was made for {recipe.api}"
