"""Ids of tasks in arrays of numbers come back as they were, whatever they look like."""

from hypothesis import given
from hypothesis import strategies as st

from service.messaging.task_ids import TaskIds, TaskIdSet

_NUMBERED = st.builds(lambda prompt, place: f"p{prompt}.{place}", st.integers(0, 300), st.integers(0, 70))
_FAR = st.builds(lambda prompt, place: f"p{prompt}.{place}", st.integers(0, 10**18), st.integers(0, 2_000))
_NEARLY = st.sampled_from(
    ["p1.02", "p01.2", "p1.2 ", "p1.2\n", "P1.2", "p-1.2", "p1", "p1.", "p\uff11.2", "", "seed_task_0"]
)
_IDS = st.lists(st.one_of(_NUMBERED, _NUMBERED, _FAR, _NEARLY, st.text()))


@given(_IDS)
def test_a_list_returns_the_ids_in_order(ids: list[str]) -> None:
    found = TaskIds()
    for each in ids:
        found.append(each)
    assert (list(found), len(found)) == (ids, len(ids))
    assert [found[place] for place in range(len(ids))] == ids


@given(_IDS, _IDS)
def test_a_set_holds_what_was_added_and_nothing_else(added: list[str], others: list[str]) -> None:
    found, expected = TaskIdSet(), set[str]()
    for each in added:
        found.add(each)
        expected.add(each)
        assert len(found) == len(expected)
    assert [each in found for each in others + added] == [each in expected for each in others + added]


def test_an_id_that_was_far_away_is_found_when_others_reach_it() -> None:
    found = TaskIdSet()
    found.add("p100000.1")
    for prompt in range(100_100):
        found.add(f"p{prompt}.0")
    found.add("p100000.1")
    assert (len(found), "p100000.1" in found, "p100000.2" in found) == (100_101, True, False)


def test_an_id_takes_eight_bytes_in_a_list_and_less_in_a_set() -> None:
    ids, members = TaskIds(), TaskIdSet()
    for number in range(100_000):
        ids.append(f"p{number // 2}.{number % 2}")
        members.add(f"p{number // 2}.{number % 2}")
    assert ids.packed.itemsize * len(ids.packed) == 800_000
    assert sum(piece.nbytes for pieces in members.snapshot("ids").values() for piece in pieces) <= 400_000 + 8 * (
        1 << 16
    )
    assert not ids.others
    assert not members.others
