from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.selfinstruct.classification import is_classification
from tests.fakes.chat.shapes import Shape
from tests.fakes.chat.verdict_shapes import UNREADABLE_VERDICTS, VERDICT_SHAPES


@pytest.mark.parametrize("reply", ["Yes", "yes", "YES", " Yes", "\tYES \n"])
def test_yes_means_classification(reply: str) -> None:
    assert is_classification(reply)


@pytest.mark.parametrize("reply", ["No", "no", " NO\n", "No.", "**No**", "No, it is open.", "Answer: No"])
def test_no_means_generation(reply: str) -> None:
    assert is_classification(reply) is False


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ('{"is_classification": true}', True),
        ('```json\n{"is_classification": false}\n```', False),
        ('Here it is: {"is_classification": "Yes"}', True),
        ('{"answer": "no"}', False),
        ("false", False),
        ('{"is_classification": null}', None),
        ('{"is_classification": maybe', None),
        ("{}", None),
    ],
)
def test_a_verdict_in_json_is_read(reply: str, *, verdict: bool | None) -> None:
    assert is_classification(reply) is verdict


@pytest.mark.parametrize("reply", ["", " ", "y", "Maybe", "是", "Yes and no", "Nothing of the kind", "Yesterday"])
def test_a_reply_with_neither_yes_nor_no_is_no_verdict(reply: str) -> None:
    assert is_classification(reply) is None


@pytest.mark.parametrize("shape", VERDICT_SHAPES, ids=lambda shape: shape.name)
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**9), answer=st.booleans())
def test_a_verdict_of_any_shape_is_read(shape: Shape, seed: int, *, answer: bool) -> None:
    assert is_classification(shape.write(Random(seed), answer)) is answer


@pytest.mark.parametrize("reply", UNREADABLE_VERDICTS)
def test_an_unreadable_verdict_is_never_taken_for_a_no(reply: str) -> None:
    assert is_classification(reply) is None


@pytest.mark.timeout(5)
@pytest.mark.parametrize("unit", ["Yes ", "answer ", "the answer is ", "**", "{", '"', "\\", "_ ", "this is "])
def test_hostile_repetition_costs_linear_time(unit: str) -> None:
    is_classification(unit * 50_000)
