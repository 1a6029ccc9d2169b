import json
from pathlib import Path
from typing import Any

import pytest

from service.dataset.seeds import load_seeds, parse_seeds, seeds_digest
from service.errors import SeedTaskError
from service.selfinstruct.tasks import Instance, SeedTask

LINE: dict[str, Any] = {
    "id": "seed_task_0",
    "name": "rivers",
    "instruction": "Name a river.",
    "instances": [{"input": "", "output": "Rhine"}],
    "is_classification": False,
}


def line(**changes: Any) -> str:
    return json.dumps({name: value for name, value in {**LINE, **changes}.items() if value is not ...})


def refusal(text: str) -> str:
    with pytest.raises(SeedTaskError) as caught:
        parse_seeds(text, "my.jsonl")
    return str(caught.value)


def test_a_line_is_a_seed_task() -> None:
    expected = SeedTask("seed_task_0", "rivers", "Name a river.", (Instance("", "Rhine"),), is_classification=False)
    assert parse_seeds(line(), "x") == (expected,)


def test_extra_fields_are_ignored_and_a_name_may_be_missing() -> None:
    (seed,) = parse_seeds(line(name=..., source="a book", instances=[{"input": "a", "output": "b", "n": 1}]), "x")
    assert (seed.name, seed.instances) == ("", (Instance("a", "b"),))


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\n\n", "\r\n  \r\n"])
def test_any_line_ending_is_accepted_and_blank_lines_are_ignored(newline: str) -> None:
    seeds = parse_seeds(newline.join(["", line(id="a"), line(id="b"), ""]), "x")
    assert [seed.id for seed in seeds] == ["a", "b"]


def test_a_line_separator_inside_a_text_ends_no_line() -> None:
    text = json.dumps({**LINE, "instruction": "one\u2028two\u0085three"}, ensure_ascii=False)
    (seed,) = parse_seeds(text, "x")
    assert seed.instruction == "one\u2028two\u0085three"


@pytest.mark.parametrize(
    ("broken", "where"),
    [
        ("{", "expected a whole task on one line"),
        ('{"id": 1', "expected a task in JSON: "),
        ("{'id': 'a'}", "expected a task in JSON, and this is a Python dictionary"),
        ("[1]", "the line: "),
        (line(instruction=...), "instruction: "),
        (line(instruction="  "), "instruction: "),
        (line(id=7), "id: "),
        (line(id=""), "id: "),
        (line(is_classification="yes"), "is_classification: "),
        (line(instances={}), "instances: "),
        (line(instances=[]), "instances: expected at least one"),
        (line(instances=[{"input": "", "output": "x"}, {"input": ""}]), "instances.1.output: "),
        (line(instances=[{"input": "", "output": 4}]), "instances.0.output: "),
    ],
)
def test_an_error_names_the_file_the_line_and_the_field(broken: str, where: str) -> None:
    assert refusal(f"{line(id='a')}\n\n{broken}").startswith(f"my.jsonl, line 3: {where}")


def test_an_id_that_comes_twice_is_an_error() -> None:
    assert refusal("\n".join([line(id="a"), line(id="b"), line(id="a")])).startswith("my.jsonl, line 3: id: ")


@pytest.mark.parametrize("text", ["", "\n", " \r\n"])
def test_an_empty_file_is_an_error(text: str) -> None:
    assert refusal(text) == "my.jsonl: expected at least one seed task, and the file is empty"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("null", "the line: expected an object, got null"),
        ("7", "the line: expected an object, got 7"),
        (line(instruction=...), "instruction: expected this field, and there is none"),
        (line(id=7), "id: expected a text, got 7"),
        (line(id=" "), "id: expected a text that is not empty"),
        (line(instances={}), "instances: expected an array, got {}"),
        (line(instances=[3]), "instances.0: expected an object, got 3"),
        (line(is_classification="yes"), 'is_classification: expected true, false or null, got "yes"'),
        (line(id=float("nan")), "expected a task in JSON: NaN is no value of JSON; write null"),
        ('{"a":' * 100_000, "expected a task in JSON: it is nested too deeply"),
    ],
    ids=range(10),
)
def test_an_error_is_in_words_for_users(broken: str, said: str) -> None:
    assert refusal(broken) == f"my.jsonl, line 1: {said}"


def test_an_id_is_new_with_its_prefix_too() -> None:
    said = refusal("\n".join([line(id="p1.1"), line(id="seed_p1.1")]))
    assert said == "my.jsonl, line 2: id: expected a new id, and 'seed_p1.1' is used above already, at line 1"


def test_a_file_is_read_and_named_in_errors(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_bytes(f"{line()}\r\n".encode())
    assert [seed.id for seed in load_seeds(path)] == ["seed_task_0"]
    path.write_text("{")
    with pytest.raises(SeedTaskError, match=r"seeds\.jsonl, line 1"):
        load_seeds(path)


def test_a_file_with_a_byte_order_mark_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_text(line(), "utf-8-sig")
    assert [seed.id for seed in load_seeds(path)] == ["seed_task_0"]


def test_a_folder_or_another_encoding_is_told(tmp_path: Path) -> None:
    with pytest.raises(SeedTaskError, match=r"seed tasks: it is a folder$"):
        load_seeds(tmp_path)
    (tmp_path / "latin.jsonl").write_bytes(b"\n" + line(name="Stra\u00dfe").encode() + "\u00df".encode("latin-1"))
    with pytest.raises(
        SeedTaskError, match=r"line 2 has a byte that is not UTF-8 \(0xdf\); `iconv -t UTF-8` converts it"
    ):
        load_seeds(tmp_path / "latin.jsonl")


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "seeds.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SeedTaskError, match=r"seeds\.jsonl: expected a readable"):
        load_seeds(path)


def test_there_are_175_bundled_seeds_of_both_kinds() -> None:
    seeds = load_seeds(None)
    assert len(seeds) == len({seed.id for seed in seeds}) == 175
    assert {seed.is_classification for seed in seeds} == {True, False}


def test_the_digest_changes_with_any_seed_and_with_their_order() -> None:
    first, second = parse_seeds(f"{line(id='a')}\n{line(id='b')}", "x")
    other = parse_seeds(line(id="a", instances=[{"input": "", "output": "Po"}]), "x")
    digests = [seeds_digest(seeds) for seeds in ((first, second), (second, first), (first,), other)]
    assert len(set(digests)) == 4
    assert digests[2] == seeds_digest(parse_seeds(line(id="a", note="ignored"), "y"))
