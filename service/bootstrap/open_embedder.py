"""Chooses the sentence embedder of a recipe. Its adapter, with numpy, is imported only if a recipe needs one."""

from typing import TYPE_CHECKING

from service.errors import ConfigurationError
from service.selfinstruct.recipe import Recipe

if TYPE_CHECKING:
    from service.selfinstruct.semantic import Embedder

__all__ = ["check_embedder", "check_model", "embedder_for"]


def embedder_for(recipe: Recipe) -> "Embedder | None":
    """Return the embedder of a recipe, or `None` if it compares no meanings; the model is loaded on first use.

    Raises:
        ConfigurationError: the recipe names an embedding model other than the supported one.
    """
    if recipe.semantic is None:
        return None
    from service.adapters.minilm import MODEL, MiniLM

    if recipe.semantic.model != MODEL:
        raise ConfigurationError(
            f"the recipe compares meanings by {recipe.semantic.model!r}; expected {MODEL!r}, the only model there is"
        )
    return MiniLM()


def check_embedder(recipe: Recipe) -> None:
    """Raise unless the embedder that the recipe needs is installed; checks files only and loads nothing.

    Raises:
        ConfigurationError: the recipe names an unsupported model, or the extra or the weights are missing.
    """
    if embedder_for(recipe) is not None:
        check_model()


def check_model() -> None:
    """Raise unless the embedding model is installed; checks files only and loads nothing.

    Raises:
        ConfigurationError: the extra or the weights are missing.
    """
    from service.adapters import minilm

    minilm.check_model()
