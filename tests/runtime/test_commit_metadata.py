import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.runtime.commit_metadata import MOST_BYTES, MOST_CALLS, CommitMetadata, Ends, dump, load, whole_seconds

OFFSETS = st.integers(0, 2**40) | st.integers(0, 60)
CALLS = st.dictionaries(OFFSETS, st.integers(0, 3) | st.integers(0, 999_999), max_size=80)
ENDS = st.lists(st.integers(0, 2**40), min_size=1, max_size=5).map(tuple)


@given(ENDS, CALLS)
def test_commit_metadata_is_read_back_as_it_was_written(ends: Ends, calls: dict[int, int]) -> None:
    text, left_out = dump(CommitMetadata(ends, calls))
    assert left_out == 0
    assert load(text, len(ends)) == CommitMetadata(ends, calls)


@given(st.integers(0, 3), st.integers(0, 2**40), st.integers(400, 6_000), st.integers(1, 90))
def test_commit_metadata_fits_the_limit_and_names_first_calls(step: int, start: int, count: int, spread: int) -> None:
    calls = {start + place * step: place % spread for place in range(count)}
    text, left_out = dump(CommitMetadata((7,), calls))
    assert len(text.encode()) <= MOST_BYTES
    metadata = load(text, 1)
    assert metadata is not None
    assert list(metadata.calls.items()) == list(calls.items())[: len(calls) - left_out]


@given(
    st.integers(0, 2**40),
    st.integers(1, 5_000),
    st.integers(0, 2**30) | st.integers(0, 40),
    st.integers(0, 2_000),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60)
def test_ends_of_many_partitions_fit_and_are_lower_bounds(
    low: int, partitions: int, spread: int, count: int, rng: Random
) -> None:
    ends = tuple(low + rng.randint(0, spread) for _ in range(partitions))
    calls = {7 * place: 60 for place in range(count)}
    text, left_out = dump(CommitMetadata(ends, calls))
    assert len(text.encode()) <= MOST_BYTES
    metadata = load(text, partitions)
    assert metadata is not None
    assert all(min(ends) <= bound <= end for bound, end in zip(metadata.ends, ends, strict=True))
    assert list(metadata.calls.items()) == list(calls.items())[: len(calls) - left_out]


@pytest.mark.parametrize(
    ("partitions", "spread", "exact"),
    [(12, 10**7, True), (600, 10**5, True), (1_000, 40_000, True), (1_900, 10**6, False)],
)
def test_ends_beyond_the_limit_stay_as_exact_as_fits(partitions: int, spread: int, exact: bool) -> None:  # noqa: FBT001
    ends = tuple(10**9 + (place * 7_919) % spread for place in range(partitions))
    metadata = load(dump(CommitMetadata(ends, {5: 60}))[0], partitions)
    assert metadata is not None
    assert metadata.calls == {5: 60}
    assert (metadata.ends == ends) == exact
    assert max(end - bound for bound, end in zip(metadata.ends, ends, strict=True)) <= spread // 1_000


def test_metadata_that_fits_is_written_as_before() -> None:
    ends = tuple(range(10**9, 10**9 + 363))
    assert dump(CommitMetadata(ends, {})) == (",".join(map(str, ends)), 0)
    assert dump(CommitMetadata(ends, {5: 60}))[0] == f"{','.join(map(str, ends))};5@60"


@pytest.mark.parametrize(
    ("calls", "text"),
    [
        ({}, "12,34"),
        ({5: 60, 6: 60, 7: 60}, "12,34;5-7@60"),
        ({9: 60, 11: 60, 5: 60, 12: 3}, "12,34;5@60,9,11,12@3"),
        ({0: 0, 1: 1}, "12,34;0@0,1@1"),
    ],
)
def test_the_format_of_commit_metadata(calls: dict[int, int], text: str) -> None:
    assert dump(CommitMetadata((12, 34), calls)) == (text, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ";",
        "x",
        "1",
        "1,2,3",
        "1,",
        "-1,2",
        "1,2;5",
        "1,2;5@",
        "1,2;5@60,",
        "1,2;7-5-3@60",
        "1,2;a@60",
        f"1,2;0-{MOST_CALLS}@1",
        "1,2;0-9999999999999999999@1",
        "٣,1",
        '{"offset": 3}',
        "1" * 5_000 + ",2",
        "5~1",
        "5~1~0",
        "5~1~012",
        "5~1~A0",
        "~1~00",
        "5~~00",
        "5~1~00;x",
        "5~1~" + "0" * 10_000,
    ],
)
def test_malformed_commit_metadata_is_taken_for_none(text: str) -> None:
    assert load(text, 2) is None


@given(st.text(alphabet="0123456789,;-@x~", max_size=40))
def test_no_text_is_too_strange_to_be_read(text: str) -> None:
    metadata = load(text, 1)
    assert metadata is None or len(metadata.calls) <= MOST_CALLS


def test_as_many_calls_as_may_be_named_are_named() -> None:
    calls = dict.fromkeys(range(MOST_CALLS), 60)
    text, left_out = dump(CommitMetadata((0,), calls))
    assert (text, left_out) == (f"0;0-{MOST_CALLS - 1}@60", 0)
    assert load(text, 1) == CommitMetadata((0,), calls)


@pytest.mark.parametrize(("time_s", "said"), [(0.0, 0), (-3.0, 0), (0.01, 1), (59.2, 60), (math.inf, 999_999)])
def test_times_are_rounded_up_to_seconds(time_s: float, said: int) -> None:
    assert whole_seconds(time_s) == said
