import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.selfinstruct.instances import parse_instances, select_instances
from service.selfinstruct.recipe import SELF_INSTRUCT
from service.selfinstruct.tasks import Instance, InstanceReason

SCRAPS = ["Example", "Output", "Input", "Class label:", " ", "\n", "1", "23", ".", ":", "x", "y z"]
VALUES = st.sampled_from(["", "a", "b", "c", "d:", "e: "])
INSTANCES = st.lists(st.builds(Instance, input=VALUES, output=VALUES), max_size=12)


def generation(reply: str, *, truncated: bool = False) -> tuple[Instance, ...]:
    return parse_instances(SELF_INSTRUCT, reply, is_classification=False, truncated=truncated)


def classification(reply: str, *, truncated: bool = False) -> tuple[Instance, ...]:
    return parse_instances(SELF_INSTRUCT, reply, is_classification=True, truncated=truncated)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Example 1\nText: a\nOutput: b\n\nExample 2\nc\nOutput: d", [("Text: a", "b"), ("c", "d")]),
        ("Example 1.\nInput: a\nOutput: b", [("a", "b")]),
        ("Example\nb alone", [("", "b alone")]),
        ("before Example 1 after", [("", "before"), ("", "after")]),
        ("Example 1 Example 2", []),
        ("\n Output: b\n", [("", "b")]),
        ("a\nOutput 1 : b", [("a", "b")]),
        ("a\nOutput: b\nOutput: c", [("a", "b")]),
        ("a\nOutput: b\nInput: c", [("a", "b")]),
        ("Input 2: a\nOutput 2: b", [("a", "b")]),
        ("a Input: b\nOutput: c", [("a Input: b", "c")]),
        ("Example 1\nb\nInput: c", [("", "b")]),
        ("just text", []),
        ("Input: a", []),
        ("", []),
    ],
)
def test_generation_replies_are_read_input_first(reply: str, expected: list[tuple[str, str]]) -> None:
    assert generation(reply) == tuple(Instance(*pair) for pair in expected)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            "Class label: Good\nText: a\nClass label: Bad\nText: b\nmore",
            [("Text: a", "Good"), ("Text: b\nmore", "Bad")],
        ),
        ("thoughts Class label:\nGood\n a ", [("a", "Good")]),
        ("Class label: Good", [("", "Good")]),
        ("Class label:", [("", "")]),
        ("class label: Good\na", []),
        ("", []),
    ],
)
def test_classification_replies_are_read_label_first(reply: str, expected: list[tuple[str, str]]) -> None:
    assert classification(reply) == tuple(Instance(*pair) for pair in expected)


def test_a_truncated_reply_loses_its_last_instance() -> None:
    assert generation("Example 1\nOutput: a\nExample 2\nOutput: b", truncated=True) == (Instance("", "a"),)
    assert classification("Class label: a\nClass label: b", truncated=True) == (Instance("", "a"),)
    assert generation("Output: a", truncated=True) == ()
    assert generation("", truncated=True) == ()


def original_pair(text: str) -> Instance:
    if re.findall(r"Output\s*\d*\s*:", text):
        given = re.split(r"Output\s*\d*\s*:", text)[0].strip()
        output = re.split(r"Output\s*\d*\s*:", text)[1].strip()
    else:
        given, output = "", text.strip()
    if re.findall(r"Input\s*\d*\s*:", output):
        output = re.split(r"Input\s*\d*\s*:", output)[0].strip()
    given = re.sub(r"^Input\s*\d*\s*:", "", given).strip()
    return Instance(given.strip(), output.strip())


def original_generation(reply: str) -> list[Instance]:
    reply = reply.strip()
    if re.findall(r"Example\s?\d*\.?", reply):
        pieces = [piece.strip() for piece in re.split(r"Example\s?\d*\.?", reply) if piece.strip() != ""]
        return [original_pair(piece) for piece in pieces]
    return [original_pair(reply)] if re.findall(r"Output\s*\d*\s*:", reply) else []


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(SCRAPS), max_size=30).map("".join))
def test_generation_replies_are_read_as_the_original_reads_them(reply: str) -> None:
    assert list(generation(reply)) == original_generation(reply)


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    "unit", ["Output ", "Output 1", " ", "1", "Example", "Input 1 ", "Class label:", "Output:", "\n"]
)
def test_hostile_repetition_costs_linear_time(unit: str) -> None:
    for head in ("", "Output", "Output 1", "Output: Input", "Example 1 Output: a Input 1"):
        generation(head + unit * 50_000)
    classification(unit * 50_000)


@pytest.mark.parametrize(
    ("instances", "expected"),
    [
        ([], InstanceReason.NONE_PARSED),
        ([Instance("a", "a")], InstanceReason.NONE_VALID),
        ([Instance("a", "")], InstanceReason.NONE_VALID),
        ([Instance("a: ", "b"), Instance("a", "b:")], InstanceReason.NONE_VALID),
        ([Instance("a", "b"), Instance("a", "c")], InstanceReason.CONTRADICTORY),
        ([Instance("a", "b"), Instance("a", "c:")], (Instance("a", "b"),)),
        ([Instance("", "b"), Instance("", "c")], (Instance("", "b"), Instance("", "c"))),
        ([Instance("z", "b"), Instance("a", "b"), Instance("z", "b")], (Instance("z", "b"), Instance("a", "b"))),
    ],
)
def test_valid_instances_are_kept_once_or_a_reason_is_returned(
    instances: list[Instance], expected: tuple[Instance, ...] | InstanceReason
) -> None:
    assert select_instances(instances, 5, random.Random(0)) == expected


def test_sampled_instances_keep_to_the_limit_and_their_order() -> None:
    instances = [Instance(str(number), "x") for number in range(20)]
    kept = {select_instances(instances, 5, random.Random(seed)) for seed in range(50)}
    assert len(kept) > 40
    for selection in kept:
        assert isinstance(selection, tuple)
        assert len(selection) == 5
        assert sorted(selection, key=instances.index) == list(selection)


def original_selection(instances: list[Instance]) -> set[Instance]:
    valid = [
        instance
        for instance in instances
        if instance.output not in {"", instance.input}
        and not instance.input.strip().endswith(":")
        and not instance.output.strip().endswith(":")
    ]
    for place, one in enumerate(valid):
        for other in valid[:place]:
            if one.input != "" and one.input == other.input and one.output != other.output:
                return set()
    return set(valid)


@settings(deadline=None, max_examples=120)
@given(INSTANCES)
def test_instances_are_selected_as_the_original_selects_them(instances: list[Instance]) -> None:
    selection = select_instances(instances, 100, random.Random(0))
    kept = set() if isinstance(selection, InstanceReason) else set(selection)
    assert kept == original_selection(instances)
    assert isinstance(selection, InstanceReason) is (not kept)


@settings(deadline=None)
@given(instances=INSTANCES, seed=st.integers(), limit=st.integers(1, 6))
def test_a_seed_gives_one_selection_of_at_most_the_limit(instances: list[Instance], seed: int, limit: int) -> None:
    first, second = (select_instances(instances, limit, random.Random(seed)) for _ in range(2))
    assert first == second
    assert isinstance(first, InstanceReason) or 1 <= len(first) <= limit
