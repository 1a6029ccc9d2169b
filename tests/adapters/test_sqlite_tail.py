"""The newest records of a partition in memory: as many as readers need, within a number of bytes."""

from pathlib import Path

import anyio
import pytest

from service.adapters.sqlite import SqliteBroker, tail
from service.adapters.sqlite.tail import Tail
from service.messaging.broker import NewRecord, Partition, Record
from tests.contract.logs import DEADLINE_S, P0, create, read_all, send, texts

pytestmark = pytest.mark.anyio

_KIB = 1 << 10
_MANY = 1_000_000


def filled(sizes: list[int]) -> Tail:
    """Return a tail whose records have these sizes; their offsets begin at 0."""
    filled = Tail(0)
    for offset, size in enumerate(sizes):
        filled.append(Record(Partition("t", 0), offset, None, b"", (), 0), size)
    return filled


def offsets(found: Tail) -> list[int]:
    return [record.offset for record in found.between(found.start, _MANY, _MANY) or []]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "_RECORDS", 4)
    monkeypatch.setattr(tail, "_BYTES", 10 * _KIB)


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [
        ([1] * 8, range(8)),
        ([1] * 9, range(5, 9)),
        ([5 * _KIB] * 4, range(4)),
        ([5 * _KIB] * 5, range(3, 5)),
        ([1, 1, 30 * _KIB, 1], range(3, 4)),
        ([1, 30 * _KIB], range(1, 2)),
        ([*[5 * _KIB] * 4, *[1] * 5], range(5, 9)),
    ],
)
def test_a_tail_is_cut_by_records_and_by_bytes(sizes: list[int], kept: range) -> None:
    found = filled(sizes)
    found.trim(_MANY)
    assert (found.start, offsets(found)) == (kept.start, list(kept))


def test_records_that_are_not_in_the_file_stay() -> None:
    found = filled([5 * _KIB] * 8)
    found.trim(2)
    assert offsets(found) == list(range(2, 8))
    found.trim(_MANY)
    assert offsets(found) == [6, 7]


def test_removed_records_take_no_room() -> None:
    found = filled([5 * _KIB] * 5)
    found.remove({1, 2})
    found.trim(_MANY)
    assert offsets(found) == [0, 3, 4]


async def test_readers_see_all_records_whatever_memory_keeps(tmp_path: Path) -> None:
    sent = [f"{number:02}" + "x" * (number % 7 * 3 * _KIB) for number in range(40)]
    async with SqliteBroker.open(tmp_path / "log.sqlite3") as broker:
        await create(broker)
        async with broker.reader([P0]) as following:
            followed: list[str] = []
            for text in sent:
                await send(broker, text)
                with anyio.fail_after(DEADLINE_S):
                    followed += texts(await following.poll(10, DEADLINE_S))
        assert followed == sent
        for start in (0, 17, 39):
            assert texts(await read_all(broker, P0, start)) == sent[start:]


async def test_a_transaction_larger_than_the_tail_is_read_whole(tmp_path: Path) -> None:
    values = [str(number).encode() * 5 * _KIB for number in range(9)]
    async with SqliteBroker.open(tmp_path / "log.sqlite3") as broker:
        await create(broker)
        async with broker.transactional_producer("t") as producer:
            await producer.begin()
            for value in values:
                await producer.send([NewRecord("first", value, partition=0)])
                await send(broker, "beside", topic="second")
            assert await read_all(broker) == []
            await producer.commit()
        assert [record.value for record in await read_all(broker)] == values
