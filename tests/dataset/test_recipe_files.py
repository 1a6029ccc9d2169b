"""Recipe files: knobs over a published recipe, in every form, and clear errors."""

import re
from itertools import product
from pathlib import Path

import pytest

from service.dataset.recipe_files import KNOBS, as_toml, read_recipe
from service.errors import RecipeError
from service.selfinstruct.recipe import ALPACA, RECIPES, SELF_INSTRUCT, Form, Language, Recipe, RecipeName, recipe_for
from service.selfinstruct.recipe_changes import with_language

FORMS = [*product(Form, ("chat", "completions"))]


def in_form(name: RecipeName, form: Form, api: str) -> Recipe:
    return recipe_for(name, form, chat_model=api == "chat")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "own.toml"


def recipe_of(path: Path, *lines: str, base: Recipe = SELF_INSTRUCT, language: Language | None = None) -> Recipe:
    path.write_text("\n".join([f'extends = "{base.name}"', *lines]), "utf-8")
    return read_recipe(path).applied_to(base, language)


@pytest.mark.parametrize(("form", "api"), FORMS)
@pytest.mark.parametrize("name", RecipeName)
def test_a_recipe_as_a_file_gives_the_recipe_again(name: RecipeName, form: Form, api: str, path: Path) -> None:
    base = in_form(name, form, api)
    for recipe in (base, with_language(base, Language.ANY)):
        path.write_text(as_toml(recipe))
        again = read_recipe(path).applied_to(base)
        assert (again, again.digest) == (recipe, recipe.digest)


@pytest.mark.parametrize(("form", "api"), FORMS)
@pytest.mark.parametrize("name", RecipeName)
def test_a_recipe_as_a_file_is_itself_in_another_form(name: RecipeName, form: Form, api: str, path: Path) -> None:
    other = in_form(name, form, api)
    for base in (in_form(name, *each) for each in FORMS):
        path.write_text(as_toml(base))
        assert read_recipe(path).applied_to(other) == other


def test_knobs_that_were_set_are_in_the_file_for_every_form(path: Path) -> None:
    own = recipe_of(path, "tasks_per_reply = 12", "[classification_sampling]", "max_tokens = 9")
    path.write_text(as_toml(own))
    assert read_recipe(path).applied_to(SELF_INSTRUCT) == own
    chat = read_recipe(path).applied_to(in_form(RecipeName.SELF_INSTRUCT, Form.TEXT, "chat"))
    assert chat.classification_sampling is not None
    assert (chat.classification_sampling.max_tokens, chat.instruction_sampling.stop) == (9, ("\n21. ",))


def test_a_recipe_as_a_file_takes_another_language(path: Path) -> None:
    path.write_text(as_toml(SELF_INSTRUCT))
    assert read_recipe(path).applied_to(SELF_INSTRUCT, Language.ANY) == with_language(SELF_INSTRUCT, Language.ANY)
    path.write_text(as_toml(SELF_INSTRUCT).replace('language = "en"', 'language = "any"'))
    assert read_recipe(path).applied_to(SELF_INSTRUCT) == with_language(SELF_INSTRUCT, Language.ANY)


@pytest.mark.parametrize(("form", "api"), FORMS)
def test_knobs_of_a_file_hold_in_every_form(form: Form, api: str, path: Path) -> None:
    base = in_form(RecipeName.SELF_INSTRUCT, form, api)
    recipe = recipe_of(path, "[instruction_sampling]", "temperature = 0.3", base=base)
    assert recipe.instruction_sampling.temperature == 0.3
    assert recipe.instruction_sampling.max_tokens == base.instruction_sampling.max_tokens
    assert (recipe.form, recipe.chat_model) == (base.form, base.chat_model)


def test_a_language_brings_its_knobs_and_the_file_overrides_them(path: Path) -> None:
    recipe = recipe_of(path, "[filters]", 'language = "any"')
    assert recipe == with_language(SELF_INSTRUCT, Language.ANY)
    assert (recipe.capitalize, recipe.filters.allow_non_ascii) == (False, True)
    own = recipe_of(path, "capitalize = true", "[filters]", "allow_non_ascii = false", 'language = "any"')
    assert (own.capitalize, own.filters.allow_non_ascii, own.filters.language) == (True, False, Language.ANY)


@pytest.mark.parametrize("language", Language)
def test_a_language_that_is_asked_for_replaces_that_of_the_file(language: Language, path: Path) -> None:
    file = ("[filters]", 'language = "any"', "min_words = 2")
    recipe = recipe_of(path, *file, language=language)
    assert (recipe.filters.language, recipe.filters.min_words) == (language, 2)
    assert recipe.capitalize == (language is Language.EN)


@pytest.mark.parametrize(
    ("base", "lines", "stop"),
    [
        (SELF_INSTRUCT, ["tasks_per_reply = 12"], ("\n\n", "\n21", "21.", "21 .")),
        (SELF_INSTRUCT, ["human_demonstrations = 2"], ("\n\n", "\n12", "12.", "12 .")),
        (ALPACA, ["tasks_per_reply = 5"], ("\n8", "8.")),
        (recipe_for(RecipeName.SELF_INSTRUCT, chat_model=True), ["tasks_per_reply = 12"], ("\n21. ",)),
        (recipe_for(RecipeName.SELF_INSTRUCT, Form.JSON), ["tasks_per_reply = 12"], ()),
        (SELF_INSTRUCT, ["tasks_per_reply = 12", "[instruction_sampling]", 'stop = ["16"]'], ("16",)),
    ],
)
def test_stops_follow_the_numbers_unless_given(
    base: Recipe, lines: list[str], stop: tuple[str, ...], path: Path
) -> None:
    assert recipe_of(path, *lines, base=base).instruction_sampling.stop == stop


def test_stops_of_instances_follow_their_number(path: Path) -> None:
    recipe = recipe_of(path, "max_instances = 2")
    assert recipe.generation_instances_sampling is not None
    assert recipe.generation_instances_sampling.stop == ("Example 3", "Task:")


@pytest.mark.parametrize("name", RecipeName)
def test_the_published_number_of_tasks_is_no_change(name: RecipeName, path: Path) -> None:
    base = RECIPES[name]
    assert recipe_of(path, f"tasks_per_reply = {base.most_tasks}", base=base) == base


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["temprature = 1"], "temprature: there is no such knob; the nearest is instruction_sampling.temperature"),
        (["[filters]", "min_wrods = 1"], "filters.min_wrods: there is no such knob; the nearest is filters.min_words"),
        (["threshold = 1"], "threshold: there is no such knob; the nearest is semantic.threshold"),
        (["[filter]", "min_words = 1"], "filter: there is no such knob; the nearest is filters"),
        (["qqq = 1"], "qqq: there is no such knob; `seedstream recipe show` prints all that there are"),
        (['form = "text"'], "form: no knob of a recipe file; --form says it"),
        (["chat_model = true"], "chat_model: no knob of a recipe file; --lm-api says it"),
        (["filters = 3"], "filters: expected a table, [filters], got 3"),
        (["[filters]", 'min_words = "4"'], 'filters.min_words: expected a whole number, got "4"'),
        (["[filters]", "min_words = 0"], "filters.min_words: expected a whole number of at least 1, got 0"),
        (["[filters]", "min_words = 200"], "expected filters.min_words <= filters.max_words, got 200 and 150"),
        (["[filters]", "rouge_threshold = 1.1"], "filters.rouge_threshold: expected a number from 0 to 1, got 1.1"),
        (["[filters]", "rouge_threshold = nan"], "filters.rouge_threshold: expected a number from 0 to 1, got nan"),
        (["[filters]", 'blocked_words = [""]'], "filters.blocked_words: expected a list of texts, none of them empty"),
        (["[filters]", 'language = "fr"'], 'filters.language: expected "en" or "any", got "fr"'),
        (["capitalize = 1"], "capitalize: expected true or false, got 1"),
        (["human_demonstrations = true"], "human_demonstrations: expected a whole number, got true"),
        (["human_demonstrations = 0", "machine_demonstrations = 0"], "expected at least one demonstration, got none"),
        (
            ["[instruction_sampling]", "temperature = 3"],
            "instruction_sampling.temperature: expected a number from 0 to",
        ),
    ],
)
def test_a_wrong_knob_is_an_error_that_names_it(lines: list[str], said: str, path: Path) -> None:
    with pytest.raises(RecipeError, match=f"^{re.escape(f'{path}: {said}')}") as caught:
        recipe_of(path, *lines)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["machine_demonstrations = 1"], "machine_demonstrations: recipe alpaca shows human tasks only; expected 0"),
        (["max_instances = 2"], "max_instances: a task of recipe alpaca has one instance; expected 1"),
        (["[classification_sampling]", "temperature = 1"], "classification_sampling: recipe alpaca has no such step"),
    ],
)
def test_knobs_that_alpaca_does_not_have_are_errors(lines: list[str], said: str, path: Path) -> None:
    with pytest.raises(RecipeError, match=re.escape(said)):
        recipe_of(path, *lines, base=ALPACA)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", 'extends: expected "self-instruct" or "alpaca", got nothing'),
        (b'extends = "dolly"', 'got "dolly"'),
        (b"extends = [1]", "got [1]"),
        (b"extends = ", "Invalid value"),
        (b"\xff\xfe", "expected a readable UTF-8 file"),
    ],
)
def test_a_file_that_is_no_recipe_is_an_error(content: bytes, said: str, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=re.escape(said)):
        read_recipe(path)


def test_a_missing_file_is_an_error(path: Path) -> None:
    with pytest.raises(RecipeError, match="No such file"):
        read_recipe(path)


def test_a_byte_order_mark_is_no_part_of_a_file(path: Path) -> None:
    path.write_bytes(b'\xef\xbb\xbfextends = "alpaca"\n')
    assert read_recipe(path).extends is RecipeName.ALPACA


def test_every_knob_is_in_the_file_of_a_recipe() -> None:
    absent = {"semantic.model", "semantic.threshold"}
    lines = as_toml(SELF_INSTRUCT).splitlines()
    assert {name.rpartition(".")[2] for name in KNOBS.keys() - absent} == {
        line.removeprefix("# ").partition(" = ")[0] for line in lines if " = " in line
    } - {"extends"}
