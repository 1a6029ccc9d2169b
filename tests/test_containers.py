import tracemalloc
from array import array

from hypothesis import given
from hypothesis import strategies as st

from service.containers import DenseSet, PagedTable

NUMBERS = st.integers(0, 3_000) | st.integers(0, 10**18)


class Column:
    def __init__(self, rows: int) -> None:
        self.values = array("q", bytes(8 * rows))


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
    table = PagedTable(Column)
    for number, value in numbers.items():
        page, place = table.row(number)
        page.values[place] = value
    for number in (*numbers, *(each + 1 for each in numbers)):
        page, place = table.row(number)
        assert page.values[place] == numbers.get(number, 0)
