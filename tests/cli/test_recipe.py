"""`seedstream recipe`: recipes as files, and their differences."""

import json
from pathlib import Path

import pytest

from service.dataset.recipe_files import read_recipe
from service.selfinstruct.recipe import ALPACA, RECIPES, SELF_INSTRUCT, Language, Recipe, RecipeName, recipe_for
from service.selfinstruct.recipe_changes import with_language
from tests.support.commands import invoke

pytestmark = pytest.mark.usefixtures("no_settings")


def shown(*arguments: str, base: Recipe = SELF_INSTRUCT) -> Recipe:
    """Return the recipe of a file that `show` has printed."""
    ended = invoke("recipe", "show", *arguments)
    assert ended.exit_code == 0, ended.exception
    path = Path("shown.toml")
    path.write_text(ended.stdout)
    return read_recipe(path).applied_to(base)


@pytest.fixture
def own() -> str:
    Path("own.toml").write_text(
        'extends = "self-instruct"\ncapitalize = false\n'
        '[filters]\nblocked_words = ["map", "Karte"]\nrouge_threshold = 0.6'
    )
    return "own.toml"


@pytest.mark.parametrize("name", RecipeName)
def test_a_published_recipe_is_shown_as_a_whole_file(name: RecipeName) -> None:
    assert shown("--recipe", name, base=RECIPES[name]) == RECIPES[name]


def test_a_file_is_shown_with_all_its_knobs(own: str) -> None:
    recipe = shown("--recipe", own)
    assert (recipe.capitalize, recipe.filters.rouge_threshold) == (False, 0.6)
    assert recipe == read_recipe(Path(own)).applied_to(SELF_INSTRUCT)


def test_form_and_digest_stand_above_the_file() -> None:
    chat = recipe_for(RecipeName.SELF_INSTRUCT, chat_model=True)
    ended = invoke("recipe", "show", "--form", "text", "--lm-api", "chat", "--language", "any")
    recipe = with_language(chat, Language.ANY)
    title = f"# self-instruct, form text for chat models, language any, digest {recipe.digest}"
    assert ended.stdout.splitlines()[0] == title


def test_a_run_is_shown_and_compared_in_its_form(own: str) -> None:
    defined = invoke("goal", "--run", "mine", "--recipe", own, "--lm-api", "chat", "--target", "1")
    assert defined.exit_code == 0, defined.exception
    assert "form json for chat models" in invoke("recipe", "show", "--run", "mine").stdout
    same = invoke("recipe", "diff", "mine", own)
    assert (same.exit_code, same.stdout, same.stderr) == (0, "", "no difference\n")
    assert invoke("recipe", "diff", "self-instruct", "mine").stdout.splitlines()[-1].endswith("0.7 | 0.6")


def test_differences_are_told_in_the_words_of_a_file(own: str) -> None:
    ended = invoke("recipe", "diff", "self-instruct", own)
    lines = ended.stdout.splitlines()
    assert lines[0] == "capitalize: true | false"
    assert lines[1].startswith('filters.blocked_words: only ["image", ')
    assert lines[1].endswith(' | only ["Karte"]')
    assert lines[2:] == ["filters.rouge_threshold: 0.7 | 0.6"]


def test_differences_are_printed_as_json() -> None:
    found = json.loads(invoke("recipe", "diff", "self-instruct", "alpaca", "--json").stdout)
    assert found["extends"] == ["self-instruct", "alpaca"]
    assert found["human_demonstrations"] == [6, 3]
    assert found["classification_sampling.max_tokens"] == [3, None]
    assert "filters.min_words" not in found
    assert len(found["filters.blocked_words"][1]) == len(ALPACA.filters.blocked_words)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("diff", "nobody", "alpaca"), "'nobody'"),
        (("diff", "../x", "alpaca"), "run"),
        (("diff", "none.toml", "alpaca"), "none.toml: expected a readable UTF-8 file"),
        (("show", "--run", "nobody"), "'nobody'"),
    ],
)
def test_a_recipe_that_is_not_there_is_an_error(arguments: tuple[str, ...], said: str) -> None:
    ended = invoke("recipe", *arguments)
    assert ended.exit_code != 0
    assert said in str(ended.exception)
