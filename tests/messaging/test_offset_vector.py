"""Offset vectors and their texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ConfigurationError
from service.messaging.offset_vector import covers, later_of, parse_vector, vector_text

_VECTORS = st.dictionaries(st.integers(0, 2**31 - 1), st.integers(1, 2**63 - 1), max_size=20)


@pytest.mark.parametrize(
    ("vector", "text"), [({}, "0-0"), ({0: 0}, "0-0"), ({0: 12}, "0-12"), ({2: 3, 0: 0, 1: 7}, "1-7.2-3")]
)
def test_a_vector_is_written_in_one_way(vector: dict[int, int], text: str) -> None:
    assert vector_text(vector) == text


@given(_VECTORS)
def test_a_text_is_read_as_the_vector_it_was_made_of(vector: dict[int, int]) -> None:
    assert parse_vector(vector_text(vector)) == vector


@pytest.mark.parametrize(
    "text",
    ["", "0", "0-", "-1", "0-1.", "1-0", "0-0.1-1", "1-1.0-1", "0-1.0-2", "0-01", "00-1", "0-1 ", "0-٣", "x" * 99],
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="position: expected PARTITION-OFFSET"):
        parse_vector(text)


@given(_VECTORS, _VECTORS)
def test_the_later_of_two_vectors_covers_both(one: dict[int, int], other: dict[int, int]) -> None:
    later = later_of(one, other)
    assert covers(later, one)
    assert covers(later, other)
    assert all(offset in {one.get(number), other.get(number)} for number, offset in later.items())
