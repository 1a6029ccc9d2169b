"""The sentence embedder of a recipe."""

from service.adapters.minilm import MODEL, MiniLM, check_model
from service.errors import ConfigurationError
from service.selfinstruct.recipe import Recipe
from service.selfinstruct.semantic import Embedder

__all__ = ["check_embedder", "check_model", "embedder_for"]


def embedder_for(recipe: Recipe) -> Embedder | None:
    """Return the embedder of a recipe, or none if it compares no meanings; nothing is loaded yet.

    Raises:
        ConfigurationError: the recipe names a model that we do not have.
    """
    if recipe.semantic is None:
        return None
    if recipe.semantic.model != MODEL:
        raise ConfigurationError(
            f"the recipe compares meanings by {recipe.semantic.model!r}; expected {MODEL!r}, the only model there is"
        )
    return MiniLM()


def check_embedder(recipe: Recipe) -> None:
    """Check that the embedder of a recipe, if it has one, is installed; looks at the disk, loads nothing.

    Raises:
        ConfigurationError: the recipe names another model, or the extra or the weights are missing.
    """
    if embedder_for(recipe) is not None:
        check_model()
