import re
import string
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.selfinstruct.filters import refusal
from service.selfinstruct.recipe import ALPACA, SELF_INSTRUCT, Language, Recipe
from service.selfinstruct.recipe_changes import with_language
from service.selfinstruct.tasks import Candidate, Instance, Reason

WORDS = [
    *ALPACA.filters.blocked_words,
    "GO TO",
    "Write a program",
    "go",
    "to",
    "filed",
    "maps-",
    "\u017f",
    "é",
    "1",
    ".",
    "_",
]


def reason(recipe: Recipe, instruction: str, output: str | None = None) -> Reason | None:
    instance = None if output is None else Instance("", output)
    return refusal(recipe.filters, Candidate(0, instruction, instance))


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("", Reason.EMPTY),
        (" \n", Reason.EMPTY),
        ("Sort these words", Reason.TOO_SHORT),
        ("Sort these four words", None),
        ("Sort " + "word " * 149, None),
        ("Sort " + "word " * 150, Reason.TOO_LONG),
        ("Describe the image in words", Reason.BLOCKED_WORD),
        ("Describe the IMAGE, in words", Reason.BLOCKED_WORD),
        ("Tell me where to Go To now", Reason.BLOCKED_WORD),
        ("Tell me to go  to town", None),
        ("Imagine a filed complaint about mapping", None),
        ("Explain the re-draw of a lottery", Reason.BLOCKED_WORD),
        ("Explain what file_name means here", None),
        ("Write a program that sorts numbers", Reason.BLOCKED_OPENING),
        ("Write a programme for the concert", Reason.BLOCKED_OPENING),
        ("write a program that sorts numbers", None),
        ("Please write a program that sorts", None),
        ("- sort these four words", Reason.LEADING_PUNCTUATION),
        ("`sort` these four words", Reason.LEADING_PUNCTUATION),
        ("Éveille ces quatre mots", Reason.LEADING_NON_ASCII),
        ("“Sort” these four words", Reason.LEADING_NON_ASCII),
        ("Explain café in four words", None),
        ("1 and 2 are what", None),
    ],
)
def test_self_instruct_refuses_the_same_as_the_original(instruction: str, expected: Reason | None) -> None:
    assert reason(SELF_INSTRUCT, instruction) is expected


@pytest.mark.parametrize("word", ["video", "audio", "music", "flowchart", "diagram"])
def test_alpaca_blocks_five_words_more(word: str) -> None:
    instruction = f"Describe this {word} in detail"
    assert reason(SELF_INSTRUCT, instruction) is None
    assert reason(ALPACA, instruction, "It is") is Reason.BLOCKED_WORD


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("- draw", Reason.TOO_SHORT),
        ("draw " * 151, Reason.TOO_LONG),
        ("Write a program to draw", Reason.BLOCKED_WORD),
        ("¿Draw this for me please", Reason.BLOCKED_WORD),
    ],
)
def test_the_first_filter_of_the_order_gives_the_reason(instruction: str, expected: Reason) -> None:
    assert reason(ALPACA, instruction, "") is expected


def test_an_empty_output_is_refused_unless_the_recipe_allows_it() -> None:
    lenient = replace(ALPACA, filters=replace(ALPACA.filters, allow_empty_output=True))
    assert reason(ALPACA, "Sort these four words", "") is Reason.EMPTY_OUTPUT
    assert reason(ALPACA, "Sort these four words", "done") is None
    assert reason(lenient, "Sort these four words", "") is None


@pytest.mark.parametrize("rejection", [Reason.TRUNCATED, Reason.MALFORMED, Reason.EMPTY])
def test_the_reason_of_the_parser_takes_precedence(rejection: Reason) -> None:
    assert refusal(SELF_INSTRUCT.filters, Candidate(0, "draw", rejection=rejection)) is rejection


def test_a_blocked_word_may_end_in_punctuation() -> None:
    filters = replace(SELF_INSTRUCT.filters, blocked_words=("c++",))
    assert refusal(filters, Candidate(0, "Explain C++ in four words")) is Reason.BLOCKED_WORD
    assert refusal(filters, Candidate(0, "Explain abc++ in four words")) is None


def test_a_recipe_may_block_no_words_and_no_openings() -> None:
    filters = replace(SELF_INSTRUCT.filters, blocked_words=(), blocked_openings=())
    assert refusal(filters, Candidate(0, "Write a program to draw")) is None


def original_keeps(recipe: Recipe, instruction: str) -> bool:
    return not (
        instruction == ""
        or len(instruction.split()) <= 3
        or len(instruction.split()) > 150
        or any(re.search(rf"\b({word})\b", instruction, re.IGNORECASE) for word in recipe.filters.blocked_words)
        or instruction.startswith("Write a program")
        or instruction[0] in string.punctuation
        or not instruction[0].isascii()
    )


@settings(deadline=None, max_examples=80)
@given(words=st.lists(st.sampled_from(WORDS) | st.text(max_size=3), max_size=8), glue=st.sampled_from([" ", "  ", "-"]))
@pytest.mark.parametrize("recipe", [SELF_INSTRUCT, ALPACA], ids=lambda recipe: str(recipe.name))
def test_any_text_is_kept_exactly_when_the_original_keeps_it(recipe: Recipe, words: list[str], glue: str) -> None:
    instruction = glue.join(words).strip()
    assert (reason(recipe, instruction) is None) is original_keeps(recipe, instruction)


ANY = with_language(SELF_INSTRUCT, Language.ANY)


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("Объясните, почему море солёное", None),
        ("Опишите реку", Reason.TOO_SHORT),
        ("Üç çeşit çay say.", None),
        ("列出三种中国茶", None),
        ("写诗吧", Reason.TOO_SHORT),
        ("茶" * 225, None),
        ("茶" * 226, Reason.TOO_LONG),
        ("word " * 151, Reason.TOO_LONG),
        ("Open the FILE and close it", Reason.BLOCKED_WORD),
        ("打开这个file然后关上它", Reason.BLOCKED_WORD),
        ("Name the filename of three rivers", None),
        ("Write a program that sorts rivers", Reason.BLOCKED_OPENING),
        ("- Name one of the rivers", Reason.LEADING_PUNCTUATION),
        ("。列出三种中国茶和产地", Reason.LEADING_PUNCTUATION),
        ("— Назовите три вида хлеба", Reason.LEADING_PUNCTUATION),
        ("¿Cuál es el río más largo?", None),
        ("«Война и мир»: кто её написал?", None),
        ("《红楼梦》的作者是谁？", None),  # noqa: RUF001
        ("…… !?", Reason.TOO_SHORT),
    ],
)
def test_filters_for_any_language(instruction: str, expected: Reason | None) -> None:
    assert reason(ANY, instruction) is expected


def test_letters_outside_ascii_may_be_allowed_in_english() -> None:
    recipe = replace(SELF_INSTRUCT, filters=replace(SELF_INSTRUCT.filters, allow_non_ascii=True))
    assert reason(recipe, "Écrire un poème court") is None
    assert reason(recipe, "Écrire un poème") is Reason.TOO_SHORT
    assert reason(recipe, "— un poème très court") is Reason.LEADING_PUNCTUATION
    assert reason(SELF_INSTRUCT, "Écrire un poème court") is Reason.LEADING_NON_ASCII
