"""The recipe that the settings ask for: a published one, or a file; and a language."""

from functools import cached_property
from pathlib import Path

from service.dataset.recipe_files import RecipeFile, read_recipe
from service.selfinstruct.recipe import Recipe, RecipeName
from service.selfinstruct.recipe_changes import with_language
from service.settings import Settings


class AskedRecipe:
    """The recipe of the settings; its file is read once, on first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def file(self) -> RecipeFile | None:
        """The recipe file, or `None` for a published recipe.

        Raises:
            RecipeError: the file cannot be read, or has an unknown knob or a wrong value.
        """
        recipe = self._settings.recipe
        return read_recipe(recipe) if isinstance(recipe, Path) else None

    @property
    def name(self) -> RecipeName:
        """The published recipe, or the one that the file extends."""
        return RecipeName(str(self._settings.recipe if self.file is None else self.file.extends))

    def changed(self, recipe: Recipe) -> Recipe:
        """Return a recipe with the knobs of the file, whatever its form, and with the language.

        Raises:
            RecipeError: knobs of the file contradict each other or the recipe.
        """
        language = self._settings.language
        if self.file is not None:
            return self.file.applied_to(recipe, language)
        return recipe if language in (None, recipe.filters.language) else with_language(recipe, language)
