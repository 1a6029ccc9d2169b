"""Every record is in a range that the index names for its key, and there are few ranges if the keys grow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.messaging.broker import Partition, Record
from service.run import record_index
from service.run.record_index import RecordIndex
from tests.support.states import through_a_file

KEYS = st.integers(0, 12).map("p{}".format) | st.tuples(st.integers(0, 12), st.integers(0, 3)).map(
    "p{0[0]}.{0[1]}".format
)
OTHER_KEYS = st.sampled_from(
    ["", "p", "seed_task_1", "p-1", "p1x", "P1", "p" + "9" * 30, "p\N{ARABIC-INDIC DIGIT ONE}"]
)
LOGS = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 1), KEYS | OTHER_KEYS), max_size=40)


def records(log: list[tuple[str, int, str]]) -> list[Record]:
    """Return records whose offsets have gaps, as behind transactions."""
    return [
        Record(Partition(topic, number), 2 * place, key.encode(), b"", (), 0)
        for place, (topic, number, key) in enumerate(log)
    ]


@given(LOGS, st.data())
def test_all_records_with_a_key_are_in_the_ranges(log: list[tuple[str, int, str]], data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_index, "_RECORDS", 3)
        index, split = RecordIndex(), data.draw(st.integers(0, len(log)))
        for record in records(log)[:split]:
            index.add([record])
        again = RecordIndex.restored(through_a_file(index.snapshot()))
        for record in records(log)[split:]:
            index.add([record])
            again.add([record])
        for record in records(log):
            for key in ((record.key or b"").decode(), (record.key or b"").decode().partition(".")[0]):
                found = list(index.find(record.partition.topic, key))
                assert found == list(again.find(record.partition.topic, key))
                assert any(place == record.partition and a <= record.offset < b for place, a, b in found)


@given(LOGS, st.lists(st.integers(1, 9), max_size=40))
def test_batches_are_indexed_like_single_records(log: list[tuple[str, int, str]], sizes: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_index, "_RECORDS", 3)
        single, batched, left = RecordIndex(), RecordIndex(), records(log)
        for record in left:
            single.add([record])
        for size in sizes:
            batched.add(left[:size])
            left = left[size:]
        batched.add(left)
        for topic in ("a", "b"):
            for key in {key for _, _, key in log}:
                assert list(batched.find(topic, key)) == list(single.find(topic, key))


def test_a_key_is_looked_for_in_few_places() -> None:
    index = RecordIndex()
    for record in records([("a", 0, f"p{number}.0") for number in range(100_000)]):
        index.add([record])
    ((_, begin, end),) = index.find("a", "p70000")
    assert begin <= 140_000 < end
    assert end - begin <= 2 * 1_024
    assert not list(index.find("a", "seed_task_1"))
    assert not list(index.find("b", "p1"))
