"""Damage on the disk: every read returns what was written, or says that the file is damaged."""

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from service.adapters.sqlite import Storage
from service.adapters.sqlite.storage import Write
from service.errors import BrokerError, DamagedLogError
from service.messaging.broker import Committed, Partition, Record
from tests.support.damage import flip_bytes

_PARTITIONS = [Partition("first", 0), Partition("first", 1), Partition("second", 0)]
_RECORDS = 150
_GROUP = "group"

Facts = tuple[dict[Partition, list[Record]], dict[tuple[str, Partition], Committed], dict[Partition, int]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a log with gaps, long records and committed offsets."""
    file, rng = tmp_path_factory.mktemp("whole") / "log.sqlite3", random.Random("whole")
    with closing(Storage(file, read_only=False)) as storage:
        storage.create(_PARTITIONS)
        storage.partitions()
        for place in range(_RECORDS):
            partition = _PARTITIONS[place % 3]
            value = rng.randbytes(rng.choice((20, 500, 900, 9_000)))
            record = Record(partition, 2 * place, b"key", value, (("name", b"\xff"), ("none", None)), place)
            committed = {(_GROUP, partition): Committed(2 * place, "metadata")}
            storage.apply([Write([record], committed, {partition: 2 * place + 2})])
    return file


def facts_of(file: Path) -> Facts:
    with closing(Storage(file, read_only=True)) as storage:
        ends = storage.partitions()
        records = {partition: storage.read(partition, 0, end, 10_000) for partition, end in ends.items()}
        return records, storage.committed(), ends


def facts_or_damage(file: Path) -> Facts | str:
    try:
        return facts_of(file)
    except BrokerError as error:
        return str(error)


@pytest.mark.parametrize("flips", [1, 3, 200])
def test_flipped_bytes_are_found_or_change_nothing(whole: Path, tmp_path: Path, flips: int) -> None:
    expected = facts_of(whole)
    found = 0
    copy = tmp_path / "log.sqlite3"
    for seed in range(100):
        shutil.copy(whole, copy)
        flip_bytes(copy, flips, seed)
        facts = facts_or_damage(copy)
        if isinstance(facts, str):
            found += 1
            assert "damaged" in facts
            assert "`seedstream salvage --run log --into NAME`" in facts
            assert "***" not in facts
        else:
            assert facts[:2] == expected[:2]
    assert found > 50


@pytest.mark.parametrize("size", [100, 4_096, 20_000, 100_000])
def test_a_file_that_was_cut_off_is_damaged(whole: Path, tmp_path: Path, size: int) -> None:
    copy = tmp_path / "log.sqlite3"
    copy.write_bytes(whole.read_bytes()[:size])
    with pytest.raises(BrokerError):
        facts_of(copy)


def test_the_error_names_file_partition_and_offset(whole: Path, tmp_path: Path) -> None:
    partition = _PARTITIONS[1]
    (record,) = facts_of(whole)[0][partition][7:8]

    copy, content = tmp_path / "log.sqlite3", bytearray(whole.read_bytes())
    content[content.index((record.value or b"")[:20])] ^= 1
    copy.write_bytes(content)
    with pytest.raises(
        DamagedLogError,
        match=rf"log\.sqlite3 is damaged; `seedstream salvage --run log --into NAME` .*; first/1/{record.offset}: ",
    ):
        facts_of(copy)


def test_a_record_that_vanished_is_missed(whole: Path, tmp_path: Path) -> None:
    copy = tmp_path / "log.sqlite3"
    shutil.copy(whole, copy)
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("DELETE FROM records WHERE position = (SELECT position FROM records LIMIT 1 OFFSET 20)")
    with pytest.raises(DamagedLogError, match="first/0/120: expected a record"):
        facts_of(copy)


def test_rows_of_an_earlier_version_are_read_and_written_beside(whole: Path, tmp_path: Path) -> None:
    copy = tmp_path / "log.sqlite3"
    shutil.copy(whole, copy)
    with closing(sqlite3.connect(copy)) as connection, connection:
        for table, columns in {"records": ("previous", "checksum"), "partitions": ("checksum",)}.items():
            for column in columns:
                connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        connection.execute("ALTER TABLE committed DROP COLUMN checksum")
    expected = facts_of(whole)
    assert facts_of(copy) == expected
    with closing(Storage(copy, read_only=False)) as storage:
        end = storage.partitions()[_PARTITIONS[0]]
        record = Record(_PARTITIONS[0], end, None, b"new", (), 0)
        storage.apply([Write([record], {}, {_PARTITIONS[0]: end + 1})])
    with closing(sqlite3.connect(copy)) as connection, connection:  # as the earlier version writes
        connection.execute(
            "INSERT INTO records (position, timestamp_ms, key, value, headers) VALUES (?, 0, NULL, NULL, '[]')",
            (1 << 40 | end + 1,),
        )
        connection.execute("UPDATE records SET headers = CAST(headers AS BLOB)")
        connection.execute("UPDATE partitions SET next_offset = ? WHERE id = 1", (end + 2,))
    records = facts_of(copy)[0]
    assert records[_PARTITIONS[0]][:-2] == expected[0][_PARTITIONS[0]]
    assert [each.value for each in records[_PARTITIONS[0]][-2:]] == [b"new", None]


def test_a_late_record_of_a_transaction_fits_between(tmp_path: Path) -> None:
    file, partition = tmp_path / "log.sqlite3", _PARTITIONS[0]
    with closing(Storage(file, read_only=False)) as storage:
        storage.create([partition])
        for offsets in ((0,), (2, 3), (1,), (4,)):
            records = [Record(partition, offset, None, b"", (), 0) for offset in offsets]
            storage.apply([Write(records, {}, {partition: max(offsets) + 1})])
    assert [record.offset for record in facts_of(file)[0][partition]] == [0, 1, 2, 3, 4]
