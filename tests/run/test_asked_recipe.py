"""The recipe of the settings: its definition in a run, and its comparison with an existing run."""

from pathlib import Path
from typing import Any

import pytest

from service.errors import ConfigurationError, RecipeError, RunMismatchError
from service.run.definition import AskedRun, check_same
from service.selfinstruct.recipe import ALPACA, SELF_INSTRUCT, Language
from service.selfinstruct.recipe_changes import with_language
from service.settings import load_settings

pytestmark = pytest.mark.usefixtures("no_settings")


def asked(**flags: Any) -> AskedRun:
    return AskedRun(load_settings(flags))


def recipe_file(*lines: str, name: str = "own.toml") -> Path:
    path = Path(name)
    path.write_text("\n".join(['extends = "self-instruct"', *lines]))
    return path


def test_a_run_is_defined_by_a_recipe_file() -> None:
    file = recipe_file("capitalize = false", "[filters]", "rouge_threshold = 0.6")
    recipe = asked(recipe=file).new.definition.recipe
    assert (recipe.capitalize, recipe.filters.rouge_threshold) == (False, 0.6)
    assert asked(recipe=str(file)).new.definition.recipe.digest == recipe.digest


@pytest.mark.parametrize("source", ["flag", "environment", "file"])
def test_a_recipe_file_is_named_anywhere(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = recipe_file("capitalize = false")
    if source == "environment":
        monkeypatch.setenv("SEEDSTREAM_RECIPE", str(file))
    if source == "file":
        Path("seedstream.toml").write_text('recipe = "own.toml"\n')
    assert not asked(**({"recipe": "own.toml"} if source == "flag" else {})).new.definition.recipe.capitalize


@pytest.mark.parametrize("name", ["dolly", "own.yaml", "self-instruct "])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"self-instruct, alpaca, or a file whose name ends in \.toml, got"):
        load_settings({"recipe": name})


def test_a_language_is_a_setting_of_its_own() -> None:
    assert asked(language="any").new.definition.recipe == with_language(SELF_INSTRUCT, Language.ANY)
    assert asked(language="en", recipe="alpaca").new.definition.recipe == ALPACA
    with pytest.raises(ConfigurationError, match=r"language .*: expected 'en' or 'any', got 'ru'"):
        load_settings({"language": "ru"})


def test_a_run_goes_on_with_its_file_or_without_recipe() -> None:
    file = recipe_file("capitalize = false", "[filters]", 'language = "any"')
    existing = asked(recipe=file).new.definition
    for flags in ({}, {"recipe": file}, {"recipe": "self-instruct"}, {"language": "any"}):
        check_same(existing, asked(**flags))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"recipe": "other.toml"}, r"recipe\.filters\.rouge_threshold: the run has '0\.7', asked for '0\.6'"),
        ({"recipe": "alpaca"}, "recipe: the run has self-instruct, asked for alpaca"),
        ({"language": "any"}, r"recipe\.filters\.language: the run has 'en', asked for 'any'"),
    ],
)
def test_another_recipe_is_refused_with_its_knobs(flags: dict[str, str], said: str) -> None:
    recipe_file("[filters]", "rouge_threshold = 0.6", name="other.toml")
    existing = asked(recipe=recipe_file()).new.definition
    with pytest.raises(RunMismatchError, match=said):
        check_same(existing, asked(**flags))


def test_a_name_says_nothing_of_filters_that_were_changed() -> None:
    existing = asked(recipe=recipe_file("[filters]", "rouge_threshold = 0.6")).new.definition
    check_same(existing, asked(recipe="self-instruct"))


def test_meanings_of_a_file_are_compared_if_it_says_how() -> None:
    existing = asked(recipe=recipe_file(), semantic=True).new.definition
    check_same(existing, asked(recipe="own.toml"))
    with pytest.raises(RunMismatchError, match=r"recipe\.semantic"):
        check_same(existing, asked(recipe=recipe_file("[semantic]", "threshold = 0.9", name="near.toml")))


def test_a_wrong_file_is_refused_before_a_run_is_looked_for() -> None:
    with pytest.raises(RecipeError, match="nearest is capitalize"):
        asked(recipe=recipe_file("capitalise = false")).check_files()
