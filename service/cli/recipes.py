"""Recipes by their names, files and runs, for `seedstream recipe`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio

from service.bootstrap.open_run import open_existing
from service.dataset.recipe_files import SUFFIX, as_toml, toml_value, values_of
from service.errors import RecipeError
from service.pipeline.refilter import recipe_of
from service.run.asked_recipe import AskedRecipe
from service.run.definition import AskedRun
from service.selfinstruct.recipe import Recipe, RecipeName, recipe_in
from service.settings import Settings, load_settings

_COMMENTS = "# Knobs in comments follow from the form and the language; without the `# `, they hold in every form."


def described(recipe: Recipe) -> str:
    """Return a recipe as a file, below its form, its digest and the meaning of its comments."""
    return f"# {recipe.title}, digest {recipe.digest}\n{_COMMENTS}\n{as_toml(recipe)}"


async def recipe_of_run(settings: Settings) -> Recipe:
    """Return the recipe of a run.

    Raises:
        RunNotFoundError: there is no such run.
    """
    async with open_existing(settings) as broker:
        return await recipe_of(broker, settings.run)


def compared(settings: Settings, one: str, other: str) -> tuple[Recipe, Recipe]:
    """Return two recipes by their names: published ones and files have the form of the run, if one of them is a run.

    Raises:
        RecipeError: a file is not usable.
        RunNotFoundError: there is no such run.
    """
    runs = {name: anyio.run(recipe_of_run, _at(settings, name)) for name in (one, other) if _is_run(name)}
    like = next(iter(runs.values()), None)
    mine, theirs = (runs[name] if name in runs else _in_form_of(settings, name, like) for name in (one, other))
    return mine, theirs


def differences(one: Recipe, other: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return both values of each knob that differs, by its dotted name; `None` where a recipe has no such knob."""
    mine, theirs = _all_values(one), _all_values(other)
    names = dict.fromkeys([*mine, *theirs])
    return {name: (mine.get(name), theirs.get(name)) for name in names if mine.get(name) != theirs.get(name)}


def in_words(found: Mapping[str, tuple[Any, Any]]) -> Iterator[str]:
    """Yield a line for each knob that differs: both values as in a file, of lists what only one of them has."""
    for name, (mine, theirs) in found.items():
        if isinstance(mine, tuple) and isinstance(theirs, tuple) and set(mine) != set(theirs):
            only = [tuple(each for each in one if each not in other) for one, other in ((mine, theirs), (theirs, mine))]
            yield f"{name}: only {toml_value(only[0])} | only {toml_value(only[1])}"
        else:
            yield f"{name}: {' | '.join('none' if each is None else toml_value(each) for each in (mine, theirs))}"


def _all_values(recipe: Recipe) -> dict[str, Any]:
    return {"extends": recipe.name, "form": recipe.form, "api": recipe.api, **values_of(recipe)}


def _is_run(name: str) -> bool:
    return name not in list(RecipeName) and not name.endswith(SUFFIX)


def _at(settings: Settings, run: str) -> Settings:
    return load_settings({"broker": settings.broker, "run": run})


def _in_form_of(settings: Settings, name: str, like: Recipe | None) -> Recipe:
    asked = settings.model_copy(update={"recipe": Path(name) if name.endswith(SUFFIX) else RecipeName(name)})
    if like is None:
        return AskedRun(asked).new_recipe
    own = AskedRecipe(asked)
    return own.changed(recipe_in(own.name, like.step_forms))


def recipe_like(run: Recipe, settings: Settings) -> Recipe:
    """Return the recipe of the settings for what a run was answered.

    Raises:
        RecipeError: it extends another published recipe than that of the run, whose answers it could not read.
    """
    asked = AskedRecipe(settings)
    if asked.name is not run.name:
        raise RecipeError(f"expected a recipe that extends {run.name}, as the run's, got one that extends {asked.name}")
    return asked.changed(recipe_in(run.name, run.step_forms))
