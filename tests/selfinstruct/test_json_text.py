"""JSON in a model's reply: complete values are read, and nothing is guessed."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.selfinstruct.replies.json_text import read_json

LEAVES = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=12)
ITEMS = st.text(max_size=20) | st.dictionaries(st.sampled_from(["instruction", "input", "output"]), LEAVES, min_size=1)
ANSWERS = st.fixed_dictionaries({"items": st.lists(ITEMS, min_size=1, max_size=6)})
INDENTS = st.sampled_from([None, 2])


@given(value=ANSWERS, indent=INDENTS, before=st.sampled_from(["", "Sure!\n", "```json\n"]))
def test_json_is_found_after_any_text(value: Any, indent: int | None, before: str) -> None:
    found = read_json(before + json.dumps(value, indent=indent))
    assert (found.values, found.broken) == ((value,), False)


@given(value=ANSWERS, indent=INDENTS, data=st.data())
def test_complete_items_of_json_that_ends_early_are_read(value: Any, indent: int | None, data: st.DataObject) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    found = read_json(text[: data.draw(st.integers(1, len(text) - 1))])
    read = [item for each in found.values for item in each["items"]]
    assert found.broken
    assert read == value["items"][: len(read)]


@given(value=ANSWERS, where=st.integers(0, 200))
def test_all_items_before_a_cut_item_are_read(value: Any, where: int) -> None:
    items = [*value["items"], "the last " + "x" * 300]
    text = json.dumps({"items": items}, ensure_ascii=False)
    (read,) = read_json(text[: len(text) - 3 - where]).values
    assert read["items"] == value["items"]


@pytest.mark.parametrize(
    ("text", "values", "broken"),
    [
        ('{"a": [1, 2,],}', ({"a": [1, 2]},), False),
        ('["a, ]", "b,}"]', (["a, ]", "b,}"],), False),
        ('{"a": "two\nlines"}', ({"a": "two\nlines"},), False),
        ('{"a": 1}\n{"a": 2}', ({"a": 1}, {"a": 2}), False),
        ('{"a": 1} and then [1, 2] was said', ({"a": 1}, [1, 2]), False),
        ("no JSON at all", (), False),
        ("a set such as {x, y} or [z]", (), False),
        ("", (), False),
        ('{"items": ["say "hi" twice", "b"]}', (), True),
        ('{"items": ["a", "say "hi" twice", "b"]}', ({"items": ["a"]},), True),
        ('{"items": ["a", "b"', ({"items": ["a", "b"]},), True),
        ('{"items": ["a", "b', ({"items": ["a"]},), True),
        ('{"items": ["a", {"b": 1', ({"items": ["a"]},), True),
        ('{"items": ["a", {"b": 1}', ({"items": ["a", {"b": 1}]},), True),
        ('{"a": "b", "items": [', (), True),
        ('{"a": "b"', (), True),
        ("{", (), True),
        ("[" * 100_000, (), True),
    ],
)
def test_broken_json_gives_its_complete_values_and_is_marked(
    text: str, values: tuple[Any, ...], *, broken: bool
) -> None:
    found = read_json(text)
    assert (found.values, found.broken) == (values, broken)


def test_the_share_of_json_in_a_text_is_measured() -> None:
    assert read_json('{"a": 1}').share == 1.0
    assert read_json('Use a list, such as ["a"], for it, and explain what you did and why.').share < 0.2
    assert read_json("none").share == 0.0


@pytest.mark.timeout(30)
@pytest.mark.parametrize("unit", ['"', "\\", '\\"', "{", "[", '["', '{"a":', "[1,", ",]", "}", '"a" ', "[]", "{} x "])
def test_hostile_repetition_is_read_fast(unit: str) -> None:
    started = time.process_time()
    read_json(unit * 100_000)
    assert time.process_time() - started < 2
