"""Changes to several knobs of a recipe that belong together."""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from service.selfinstruct.recipe import RECIPES, Form, Language, Recipe, RecipeName, Sampling


def with_language(recipe: Recipe, language: Language) -> Recipe:
    """Return a recipe for a language. For any language, instructions keep their case and may begin with any letter."""
    is_english = language is Language.EN
    filters = replace(recipe.filters, language=language, allow_non_ascii=not is_english)
    published = RECIPES[recipe.name].capitalize and recipe.form is Form.TEXT
    return replace(recipe, filters=filters, capitalize=published and is_english)


def with_fitting_stops(recipe: Recipe, base: Recipe, kept: Collection[str]) -> Recipe:
    """Return a recipe whose stop sequences have its own numbers in place of those of `base`, the published recipe.

    They end a reply before the first task, or the first instance, too many. Tables in `kept` stay as they are.
    """
    for table, number in _FIRST_TOO_MANY.items():
        sampling: Sampling | None = getattr(recipe, table)
        if sampling is not None and table not in kept:
            old, new = str(number(base)), str(number(recipe))
            stop = tuple(each.replace(old, new) for each in sampling.stop)
            changed: dict[str, Any] = {table: replace(sampling, stop=stop)}
            recipe = replace(recipe, **changed)
    return recipe


def _task_too_many(recipe: Recipe) -> int:
    """Return the number of the task that ends a reply. Alpaca ends it before the last task that its prompt asks for."""
    last = recipe.human_demonstrations + recipe.machine_demonstrations + recipe.most_tasks
    return last if recipe.name is RecipeName.ALPACA else last + 1


def _instance_too_many(recipe: Recipe) -> int:
    return recipe.max_instances + 1


_FIRST_TOO_MANY: dict[str, Callable[[Recipe], int]] = {
    "instruction_sampling": _task_too_many,
    "generation_instances_sampling": _instance_too_many,
    "classification_instances_sampling": _instance_too_many,
}
