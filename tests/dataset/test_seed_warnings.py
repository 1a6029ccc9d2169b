"""Odd seeds cause a warning before any call. Seeds of which a recipe can use none are refused."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from service.dataset.seed_warnings import check_seeds, seed_warnings
from service.dataset.seeds import load_seeds
from service.errors import ConfigurationError
from service.run.definition import AskedRun
from service.selfinstruct.recipe import ALPACA, RECIPES, SELF_INSTRUCT, Language, Recipe
from service.selfinstruct.tasks import Instance, SeedTask
from service.settings import load_settings
from tests.acceptance.model import simulated
from tests.acceptance.program import run_side_by_side

CHINESE = "请写一首关于河流的诗。"
RUSSIAN = "Напиши короткое стихотворение про большую реку."
BLOCKED = "Draw a map of the river."


def seed(number: int, instruction: str | None = None, output: str | None = None, given: str = "") -> SeedTask:
    text = f"Name the river number {number}." if instruction is None else instruction
    return SeedTask(f"s{number}", "", text, (Instance(given, f"River {number}" if output is None else output),), None)


def good(count: int, begin: int = 100) -> list[SeedTask]:
    return [seed(number) for number in range(begin, begin + count)]


def told(seeds: Sequence[SeedTask], recipe: Recipe = SELF_INSTRUCT) -> list[str]:
    return list(seed_warnings(recipe, seeds))


def write_seeds(path: Path, *instructions: str) -> Path:
    tasks = [{"instruction": text, "output": f"Answer {number}"} for number, text in enumerate(instructions)]
    path.write_text(json.dumps(tasks))
    return path


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_bundled_seeds_cause_no_warning(recipe: Recipe) -> None:
    assert told(load_seeds(None), recipe) == []
    check_seeds(recipe, load_seeds(None))


@pytest.mark.parametrize(
    ("instruction", "reason"),
    [
        (CHINESE, "leading_non_ascii"),
        (RUSSIAN, "leading_non_ascii"),
        ("Name it.", "too_short"),
        (BLOCKED, "blocked_word"),
        ("Write a program that sorts rivers.", "blocked_opening"),
        ("(Name a river of Europe.)", "leading_punctuation"),
        ("word " * 151, "too_long"),
    ],
)
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_seeds_that_are_all_refused_are_refused(recipe: Recipe, instruction: str, reason: str) -> None:
    seeds = [seed(number, f"{instruction} {number}") for number in range(8)]
    with pytest.raises(ConfigurationError, match=rf"every one of these 8 seed tasks .*\({reason} 8\)") as caught:
        check_seeds(recipe, seeds)
    assert caught.value.exit_code == 2
    check_seeds(recipe, [*seeds, *good(1)])


def test_each_reason_is_counted_the_most_frequent_first() -> None:
    seeds = [seed(0, BLOCKED), seed(1, CHINESE), seed(2, RUSSIAN)]
    with pytest.raises(ConfigurationError, match=re.escape("(leading_non_ascii 2, blocked_word 1)")):
        check_seeds(SELF_INSTRUCT, seeds)


def test_a_recipe_refuses_seeds_with_its_own_blocked_words() -> None:
    music = [seed(number, f"Explain the music number {number}.") for number in range(8)]
    check_seeds(SELF_INSTRUCT, music)
    with pytest.raises(ConfigurationError, match="blocked_word 8"):
        check_seeds(ALPACA, music)


def test_seeds_refused_by_a_knob_for_any_language_name_it() -> None:
    filters = replace(SELF_INSTRUCT.filters, language=Language.ANY, allow_non_ascii=False)
    with pytest.raises(ConfigurationError, match=r"leading_non_ascii 8.*; `allow_non_ascii = false` in the recipe"):
        check_seeds(replace(SELF_INSTRUCT, filters=filters), [seed(each, f"{RUSSIAN} {each}") for each in range(8)])


@pytest.mark.usefixtures("no_settings")
def test_no_run_can_be_defined_with_seeds_that_are_all_refused(tmp_path: Path) -> None:
    path = write_seeds(tmp_path / "seeds.json", *(f"{CHINESE}{number}" for number in range(8)))
    with pytest.raises(ConfigurationError, match="the recipe's filters are made for English"):
        _ = AskedRun(load_settings({"seeds": path})).new


@pytest.mark.parametrize(("refused", "of"), [(1, 19), (2, 39), (3, 40), (7, 8)])
def test_more_than_one_refused_seed_in_twenty_causes_a_warning(refused: int, of: int) -> None:
    (warning,) = told([*(seed(number, f"{BLOCKED} {number}") for number in range(refused)), *good(of - refused)])
    said = f"{refused} of {of} seed tasks would be refused if a model had written them (blocked_word {refused}); "
    assert warning.startswith(said)


@pytest.mark.parametrize(("refused", "of"), [(0, 8), (1, 20), (2, 40)])
def test_one_refused_seed_in_twenty_causes_no_warning(refused: int, of: int) -> None:
    assert told([*(seed(number, f"{BLOCKED} {number}") for number in range(refused)), *good(of - refused)]) == []


@pytest.mark.parametrize(
    ("instruction", "is_told"), [(CHINESE, True), (RUSSIAN, True), ("Name it.", True), (BLOCKED, False)]
)
def test_the_language_is_named_if_it_may_be_the_reason(instruction: str, *, is_told: bool) -> None:
    (warning,) = told([seed(0, instruction), *good(8)])
    assert ("made for English" in warning) is is_told


@pytest.mark.parametrize("output", ["", "  \n"])
def test_empty_outputs_are_named(output: str) -> None:
    second = SeedTask("two", "", "Name one more river.", (Instance("", "Po"), Instance("x", output)), None)
    expected = "the model is shown an empty output as an example: s1, two"
    assert told([seed(1, output=output), second, *good(8)]) == [expected]


def test_at_most_five_names_are_listed() -> None:
    (warning,) = told([*(seed(number, output="") for number in range(7)), *good(8)])
    assert warning.endswith(": s0, s1, s2, s3, s4 and 2 more")
    (warning,) = told([*(seed(number, output="") for number in range(5)), *good(8)])
    assert warning.endswith(": s0, s1, s2, s3, s4")


def test_huge_seeds_are_named_for_any_cause_of_their_size() -> None:
    text = "Name a long river. "  # 19 characters
    instances = (Instance("", "Po"), Instance("", "x" * 4_000))
    second = SeedTask("two", "", "Name two rivers, please.", instances, None)
    huge = [seed(1, given="x" * 4_000), seed(2, text + "x" * 3_981, "x"), second]
    (warning,) = told([*huge, *good(8)])
    assert warning == "more than 4,000 characters make each prompt that shows them expensive: s1, s2, two"
    assert told([seed(3, text, output="x" * 3_981), *good(8)]) == []


@pytest.mark.parametrize(("alike", "of", "is_told"), [(2, 4, False), (3, 6, True), (3, 8, False), (4, 8, True)])
def test_equal_outputs_in_half_of_the_seeds_cause_a_warning(alike: int, of: int, *, is_told: bool) -> None:
    seeds = [*(seed(number, output=f"Yes{' ' * number}") for number in range(alike)), *good(of - alike)]
    assert told(seeds) == ([f"{alike} of {of} seed tasks have the same output, 'Yes'"] if is_told else [])


def test_repeated_instructions_cause_a_warning() -> None:
    again = [seed(0, "Name a small river."), seed(1, "Name a small river.")]
    assert told([*again, *good(8)]) == ["1 instruction stands there more than once, for example 'Name a small river.'"]
    (warning,) = told([*again, *good(4), *good(4)])
    assert warning.startswith("5 instructions stand there more than once, for example 'Name a small river.'")


def test_all_warnings_are_shown_at_once() -> None:
    seeds = [*(seed(number, "Name it.", "Yes") for number in range(8)), seed(8, output=""), seed(9, given="x" * 5_000)]
    assert [re.split("[:,(]", warning)[0] for warning in told(seeds)] == [
        "8 of 10 seed tasks would be refused if a model had written them ",
        "the model is shown an empty output as an example",
        "more than 4",
        "8 of 10 seed tasks have the same output",
        "1 instruction stands there more than once",
    ]


def test_a_run_is_refused_or_warns_before_any_call(tmp_path: Path) -> None:
    none = write_seeds(tmp_path / "none.json", *(f"{RUSSIAN} {number}" for number in range(8)))
    some = write_seeds(tmp_path / "some.json", BLOCKED, *(f"Name the river number {number}." for number in range(8)))
    with simulated() as unasked, simulated() as asked:
        refused, begun = run_side_by_side(
            tmp_path,
            ("run", *unasked.flags, "--seeds", none),
            ("run", *asked.flags, "--seeds", some, "--run", "begun", "--target", "1"),
        )
        assert unasked.requests() == []
    assert (refused.code, refused.out, begun.code) == (2, b"", 0)
    assert "every one of these 8 seed tasks" in refused.err
    assert [path.name for path in tmp_path.rglob("*.sqlite3")] == ["begun.sqlite3"]
    assert begun.err.index("beware: 1 of 9 seed tasks would be refused") < begun.err.index("1 task: about")
