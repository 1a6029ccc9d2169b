"""Numbers in the ids of prompts and tasks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.messaging.ids import numbers_of, prompt_in, prompts_in, seq_of


@pytest.mark.parametrize(
    ("key", "number"),
    [
        ("p0", 0),
        ("p12.3", 12),
        ("p12.", 12),
        ("p012.x", 12),
        ("p" + "9" * 17, 10**17 - 1),
        ("p" + "9" * 18, None),
        ("p12x", None),
        ("p12\n", None),
        ("p", None),
        ("12", None),
        ("seed-p1", None),
        ("", None),
    ],
)
def test_a_key_is_under_the_number_of_its_prompt(key: str, number: int | None) -> None:
    assert prompt_in(key.encode()) == number


@pytest.mark.parametrize(("name", "numbers"), [("p3.0", (3, 0)), ("p3.01", None), ("p03.1", None), ("p3", None)])
def test_a_task_id_has_two_numbers(name: str, numbers: tuple[int, int] | None) -> None:
    assert numbers_of(name) == numbers


@pytest.mark.parametrize(("name", "number"), [("p3", 3), ("p0", 0), ("p03", None), ("p3.0", None), ("s3", None)])
def test_a_prompt_id_has_one_number(name: str, number: int | None) -> None:
    assert seq_of(name) == number


_KEYS = st.lists(st.sampled_from([b"p1", b"p1.0", b"p20.x", b"seed", b"p3\n", b"x\np4", b"\n", b"", b"p" + b"9" * 18]))


@given(_KEYS)
def test_keys_are_read_together_as_one_by_one(keys: list[bytes]) -> None:
    each = {prompt_in(key) for key in keys}
    numbers, has_others = prompts_in(keys)
    assert (sorted(numbers), has_others) == (sorted(number for number in each if number is not None), None in each)
