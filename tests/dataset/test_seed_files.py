"""Seed files in other formats: Alpaca's schema, JSON arrays, empty fields, and broken files."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from service.dataset.seeds import load_seeds, parse_seeds
from service.errors import SeedTaskError
from service.selfinstruct.tasks import Instance, SeedTask

RIVER = {"instruction": "Name a river.", "input": "", "output": "Rhine"}
SORT = {"instruction": "Sort the numbers.", "input": "3, 1", "output": "1, 3"}
WHOLE = {"id": "s1", "instruction": "Name a lake.", "instances": [{"output": "Garda"}]}


def as_array(*tasks: Any) -> str:
    return json.dumps(tasks, indent=4)


def as_lines(*tasks: Any) -> str:
    return "".join(f"{json.dumps(task)}\n" for task in tasks)


def one(**changes: Any) -> SeedTask:
    task = {name: value for name, value in {**RIVER, **changes}.items() if value is not ...}
    (seed,) = parse_seeds(as_lines(task), "x")
    return seed


def refusal(text: str) -> str:
    with pytest.raises(SeedTaskError) as caught:
        parse_seeds(text, "my.json")
    return str(caught.value)


def test_a_task_of_alpaca_has_one_instance() -> None:
    assert one(id="a", name="rivers") == SeedTask("a", "rivers", "Name a river.", (Instance("", "Rhine"),), None)
    assert one(input="in Italy", output="Po", text="ignored").instances == (Instance("in Italy", "Po"),)


@pytest.mark.parametrize("nothing", [None, "", ...], ids=["null", "empty", "missing"])
def test_a_missing_or_null_input_is_empty(nothing: object) -> None:
    assert one(input=nothing).instances == (Instance("", "Rhine"),)
    instance = {name: value for name, value in {"input": nothing, "output": "Rhine"}.items() if value is not ...}
    assert one(id="a", output=..., instances=[instance]).instances == (Instance("", "Rhine"),)


@pytest.mark.parametrize(("said", "known"), [(True, True), (False, False), (None, None), (..., None)])
def test_is_classification_may_be_missing(said: object, *, known: bool | None) -> None:
    assert one(is_classification=said).is_classification is known
    whole = one(id="a", output=..., instances=[{"input": "", "output": "x"}], is_classification=said)
    assert whole.is_classification is known


def test_an_array_is_read_like_tasks_on_lines() -> None:
    seeds = parse_seeds(as_lines(RIVER, WHOLE, SORT), "x")
    assert [seed.instruction for seed in seeds] == ["Name a river.", "Name a lake.", "Sort the numbers."]
    for text in (as_array(RIVER, WHOLE, SORT), json.dumps([RIVER, WHOLE, SORT]), f"\n  {as_array(RIVER, WHOLE, SORT)}"):
        assert parse_seeds(text, "y") == seeds


def test_an_id_depends_on_the_content_alone() -> None:
    first, second = (seed.id for seed in parse_seeds(as_array(RIVER, SORT), "x"))
    assert re.fullmatch("seed_[0-9a-f]{12}", first)
    assert [seed.id for seed in parse_seeds(as_lines(SORT, RIVER), "y")] == [second, first]
    assert one(input=None, source="a book", is_classification=True).id == first


def test_another_content_has_another_id() -> None:
    others = [one(), one(input="x"), one(output="x"), one(instruction="x"), one(input="Rhine", output="")]
    assert len({seed.id for seed in others}) == len(others)


def test_a_repeated_task_is_reported() -> None:
    told = "my.json, element 3: expected another task, and this one is used above already, at element 1"
    assert refusal(as_array(RIVER, SORT, RIVER)) == told


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({**RIVER, "output": None}, "output: "),
        ({**RIVER, "output": 7}, "output: "),
        ({**RIVER, "input": ["a"]}, "input: "),
        ({**RIVER, "instruction": " "}, "instruction: "),
        ({**RIVER, "is_classification": "no"}, "is_classification: "),
        ({**RIVER, "id": 4}, "id: "),
        ({"instruction": "Name a river."}, "expected a task of Self-Instruct (id, "),
        ({**RIVER, "instances": []}, "id: "),
        ({**WHOLE, "instances": None}, "instances: "),
        ("Name a river.", "the line: "),
        ([RIVER], "the line: "),
    ],
)
def test_an_error_in_an_array_names_the_element_and_the_field(task: object, said: str) -> None:
    assert refusal(as_array(SORT, task)).startswith(f"my.json, element 2: {said}")


@pytest.mark.parametrize(
    "text",
    [
        as_array(RIVER, SORT)[:-2],
        as_array(RIVER)[:-2] + ",\n]",
        as_array(RIVER) + as_array(SORT),
        "[{'instruction': 'Name a river.', 'output': 'Rhine'}]",
        "[" * 10,
    ],
    ids=["cut", "comma", "two arrays", "Python", "brackets"],
)
def test_a_broken_array_is_reported_as_one(text: str) -> None:
    said = refusal(text)
    assert said.startswith("my.json: this is a JSON array, and it cannot be read: ")
    assert said.endswith("expected [{…}, {…}] as a whole, or one task a line")


@pytest.mark.parametrize("text", ["[]", " [ ]\n"])
def test_an_empty_array_holds_no_task(text: str) -> None:
    assert refusal(text) == "my.json: expected at least one seed task, found none"


def test_a_python_dictionary_is_recognised() -> None:
    told = "my.json, line 2: expected a task in JSON, and this is a Python dictionary: write it with json.dumps"
    assert refusal(f"{as_lines(SORT)}{RIVER}\n") == told


def test_an_object_over_several_lines_is_recognised() -> None:
    said = refusal(json.dumps(RIVER, indent=2))
    assert said.startswith("my.json, line 1: expected a whole task on one line, and this object goes on below")
    assert "jq -c ." in said


def test_raw_line_feeds_and_tabs_in_strings_are_text() -> None:
    raw = as_array({**RIVER, "output": "one@two@three"}).replace("@", "\n\t")
    assert parse_seeds(raw, "x")[0].instances[0].output == "one\n\ttwo\n\tthree"


@pytest.mark.parametrize("write", [as_array, as_lines])
def test_half_a_character_is_replaced(write: Any) -> None:
    (seed,) = parse_seeds(write({**RIVER, "output": "\ud83d"}), "x")
    assert seed.instances[0].output == "\N{REPLACEMENT CHARACTER}"
    assert seed.id == one(output="\N{REPLACEMENT CHARACTER}").id


def test_an_array_in_a_file_may_have_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "alpaca_data.json"
    path.write_text(as_array(RIVER, SORT), "utf-8-sig")
    assert load_seeds(path) == parse_seeds(as_lines(RIVER, SORT), "x")
    path.write_text("[" + as_array(RIVER), "utf-8-sig")
    with pytest.raises(SeedTaskError, match=r"alpaca_data\.json: this is a JSON array"):
        load_seeds(path)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_nesting_is_refused(opening: str) -> None:
    with pytest.raises(SeedTaskError, match=r"^my\.json"):
        parse_seeds(opening * 100_000, "my.json")
