"""The assignment of partitions: even, complete, and with the fewest moves that allow it."""

from hypothesis import given
from hypothesis import strategies as st

from service.adapters.group_assignor import share_out
from service.messaging.broker import Partition

partitions = st.integers(0, 24).map(lambda count: [Partition("t", number) for number in range(count)])
claims = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3),
    st.frozensets(st.integers(0, 30).map(lambda number: Partition("t", number))),
    min_size=1,
    max_size=8,
)


@given(partitions, claims)
def test_the_assignment_is_complete_and_even(
    everything: list[Partition], owned: dict[str, frozenset[Partition]]
) -> None:
    shares = share_out(everything, owned)
    assert shares.keys() == owned.keys()
    given_out = sorted(partition for share in shares.values() for partition in share)
    assert given_out == sorted(everything)
    sizes = [len(share) for share in shares.values()]
    assert max(sizes) - min(sizes) <= 1


@given(partitions, st.integers(1, 6), st.integers(1, 6))
def test_joins_and_leaves_move_as_few_partitions_as_possible(
    everything: list[Partition], before: int, after: int
) -> None:
    first = share_out(everything, {name: frozenset() for name in range(before)})
    second = share_out(everything, {name: frozenset(first.get(name, ())) for name in range(after)})
    kept = sum(len(first[name] & second[name]) for name in range(min(before, after)))
    least = len(everything) // max(before, after)
    assert kept >= least * min(before, after)


def test_the_owner_of_the_only_partition_keeps_it_after_joins() -> None:
    only = Partition("t", 0)
    owned: dict[str, frozenset[Partition]] = {"a": frozenset(), "b": frozenset({only}), "c": frozenset()}
    assert share_out([only], owned) == {"a": set(), "b": {only}, "c": set()}
