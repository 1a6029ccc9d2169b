import tracemalloc
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from service.containers import Arrays, DenseSet, PagedTable

NUMBERS = st.integers(0, 3_000) | st.integers(0, 10**18)


@dataclass
class Page:
    small: memoryview
    values: memoryview


COLUMNS = {"small": "B", "values": "q"}


@given(st.lists(NUMBERS), st.lists(NUMBERS))
def test_a_dense_set_holds_the_numbers_added(added: list[int], others: list[int]) -> None:
    found = DenseSet()
    for number in added:
        found.add(number)
    assert all(number in found for number in added)
    assert [number in found for number in others] == [number in added for number in others]
    assert "1" not in found


def test_a_dense_set_stays_compact_behind_a_gap() -> None:
    tracemalloc.start()
    try:
        found = DenseSet()
        for number in range(1, 100_000):
            found.add(number)
        assert tracemalloc.get_traced_memory()[0] < 50_000
    finally:
        tracemalloc.stop()
    assert 0 not in found


@given(st.dictionaries(NUMBERS, st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_a_table_returns_its_values_and_0_elsewhere(numbers: dict[int, int]) -> None:
    table = PagedTable(Page, COLUMNS)
    for number, value in numbers.items():
        page, place = table.row(number)
        page.values[place] = value
    for number in (*numbers, *(each + 1 for each in numbers)):
        page, place = table.row(number)
        assert page.values[place] == numbers.get(number, 0)


def whole(arrays: Arrays) -> Arrays:
    """Return arrays in one piece each, as they come from a file: they cannot be changed."""
    return {
        name: [memoryview(b"".join(pieces)).cast(pieces[0].format if pieces else "B")]  # type: ignore[call-overload]
        for name, pieces in arrays.items()
    }


@given(st.lists(st.tuples(NUMBERS, st.integers(0, 99))), st.lists(st.tuples(NUMBERS, st.integers(0, 99))))
def test_a_snapshot_is_restored_and_not_changed(before: list[tuple[int, int]], after: list[tuple[int, int]]) -> None:
    table = PagedTable(Page, COLUMNS)
    fill(table, before)
    taken = table.snapshot("t")
    fill(table, after)
    for arrays in (taken, whole(taken)):
        again = PagedTable(Page, COLUMNS)
        again.restore("t", arrays)
        for number, _ in before + after:
            assert values_in(again, number) == 2 * (dict(before).get(number, 0),)
        fill(again, after)
        for number, _ in before + after:
            assert values_in(again, number) == values_in(table, number) == 2 * (dict(before + after).get(number, 0),)


def fill(table: PagedTable[Page], rows: list[tuple[int, int]]) -> None:
    for number, value in rows:
        page, place = table.row(number)
        page.small[place] = page.values[place] = value


def values_in(table: PagedTable[Page], number: int) -> tuple[int, int]:
    page, place = table.look(number)
    return (0, 0) if page is None else (page.small[place], page.values[place])


@given(st.sets(NUMBERS), st.sets(NUMBERS))
def test_a_set_is_restored_from_its_snapshot(before: set[int], after: set[int]) -> None:
    found, again = DenseSet(), DenseSet()
    for number in before:
        found.add(number)
    taken = found.snapshot("s")
    for number in after:
        found.add(number)
    again.restore("s", whole(taken))
    assert {number for number in before | after if number in again} == before
