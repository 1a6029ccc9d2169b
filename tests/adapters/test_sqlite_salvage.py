"""Copies of damaged files: every whole record, no other, and a list that covers the rest."""

import random
import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs

from service.adapters.sqlite import Lost, Storage, copy_whole_records
from service.adapters.sqlite.storage import Write
from service.errors import BrokerError, RunLockedError
from service.messaging import codec, topics
from service.messaging.broker import NewRecord, Partition, Record
from service.messaging.dead_letters import dead_letter
from service.messaging.messages import Message
from tests.support import examples
from tests.support.damage import flip_bytes
from tests.support.logs import RUN

_PAGE = 4_096
Log = dict[Partition, list[Record]]

_TASKS = Partition(topics.TASKS.of(RUN), 1)
_PROMPTS = Partition(topics.PROMPTS.of(RUN), 0)
_LETTERS = Partition(topics.PROMPTS.dead_letters_of(RUN), 0)


def write_log(storage: Storage) -> None:
    """Write prompts, some of them long, and their dead letters, and tasks in transactions."""
    storage.create([_PROMPTS, _LETTERS, Partition(_TASKS.topic, 0), _TASKS])
    storage.partitions()
    rng = random.Random("log")
    for place in range(60):
        text = "".join(rng.choices("abc ", k=rng.choice((10, 400, 9_000))))
        prompt = _record(_PROMPTS, place, structs.replace(examples.prompt(place), text=text))
        letter = _placed(_LETTERS, place, dead_letter(prompt, BrokerError("poison"), "generate"))
        task = _record(_TASKS, 2 * place, examples.finished(place))
        ends = {_PROMPTS: place + 1, _LETTERS: place + 1, _TASKS: 2 * place + 2}
        storage.apply([Write([prompt, letter, task], {}, ends)])


def _record(partition: Partition, offset: int, message: Message) -> Record:
    return _placed(partition, offset, codec.encode(message, RUN))


def _placed(partition: Partition, offset: int, new: NewRecord) -> Record:
    return Record(partition, offset, new.key, new.value, new.headers, 0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("whole") / "log.sqlite3"
    with closing(Storage(file, read_only=False)) as storage:
        write_log(storage)
    return file


def log_in(file: Path) -> Log:
    with closing(Storage(file, read_only=True)) as storage:
        return {partition: storage.read(partition, 0, end, 1_000) for partition, end in storage.partitions().items()}


def salvaged(file: Path) -> tuple[Log, list[Lost]]:
    target = file.with_name("salvaged.sqlite3")
    target.unlink(missing_ok=True)
    lost = copy_whole_records(file, target)
    return log_in(target), lost


def missing(before: Log, after: Log) -> list[tuple[Partition, int]]:
    return [
        (partition, record.offset)
        for partition, records in before.items()
        for record in records
        if record not in after.get(partition, [])
    ]


def covered(lost: Sequence[Lost], partition: Partition, offset: int) -> bool:
    return any(
        each.partition == partition and each.first <= offset and (each.last is None or offset <= each.last)
        for each in lost
    )


def test_a_whole_log_is_copied_whole(whole: Path, tmp_path: Path) -> None:
    copy, target = tmp_path / "log.sqlite3", tmp_path / "salvaged.sqlite3"
    shutil.copy(whole, copy)
    assert copy_whole_records(copy, target) == []
    assert sorted(tmp_path.iterdir()) == [copy, target]
    assert log_in(target) == log_in(whole)


def test_records_in_the_write_ahead_log_are_copied(tmp_path: Path) -> None:
    file, copy = tmp_path / "log.sqlite3", tmp_path / "copy.sqlite3"
    with closing(Storage(file, read_only=False)) as storage:
        write_log(storage)
        for suffix in ("", "-wal"):
            shutil.copy(f"{file}{suffix}", f"{copy}{suffix}")
    assert salvaged(copy) == (log_in(file), [])


def test_damage_in_the_write_ahead_log_costs_only_what_it_hits(tmp_path: Path) -> None:
    file, copy = tmp_path / "log.sqlite3", tmp_path / "copy.sqlite3"
    with closing(Storage(file, read_only=False)) as storage:
        write_log(storage)
        before = log_in(file)
        for seed in range(10):
            for suffix in ("", "-wal"):
                shutil.copy(f"{file}{suffix}", f"{copy}{suffix}")
            flip_bytes(copy.with_name("copy.sqlite3-wal"), 30, seed)
            after, _ = salvaged(copy)
            assert missing(after, before) == []
            assert len(missing(before, after)) < 60


@pytest.mark.parametrize("flips", [1, 30, 200])
def test_what_is_copied_was_written_and_the_rest_is_listed(whole: Path, tmp_path: Path, flips: int) -> None:
    before = log_in(whole)
    kept = 0
    for seed in range(20):
        copy = tmp_path / "log.sqlite3"
        shutil.copy(whole, copy)
        flip_bytes(copy, flips, seed)
        after, lost = salvaged(copy)
        gone = missing(before, after)
        assert missing(after, before) == []
        assert [each for each in gone if not covered(lost, *each)] == []
        kept += sum(map(len, after.values()))
    assert kept > 20 * 60


@pytest.mark.parametrize("page", [0, 1, 2])
def test_pages_that_lead_to_records_are_not_needed(whole: Path, tmp_path: Path, page: int) -> None:
    copy = tmp_path / "log.sqlite3"
    content = bytearray(whole.read_bytes())
    content[page * _PAGE : (page + 1) * _PAGE] = bytes(_PAGE)
    copy.write_bytes(content)
    after, lost = salvaged(copy)
    renamed = {partition.topic: records for partition, records in after.items() if records}
    assert renamed.keys() == {_PROMPTS.topic, _LETTERS.topic, _TASKS.topic}
    assert {topic: [record.value for record in records] for topic, records in renamed.items()} == {
        partition.topic: [record.value for record in records] for partition, records in log_in(whole).items() if records
    }
    assert [each for each in lost if each.last is not None] == []


def test_a_log_that_is_open_is_not_copied(tmp_path: Path) -> None:
    file = tmp_path / "log.sqlite3"
    with closing(Storage(file, read_only=False)), pytest.raises(RunLockedError):
        copy_whole_records(file, tmp_path / "copy.sqlite3")


def test_a_file_without_a_whole_record_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "log.sqlite3"
    file.write_bytes(random.Random(1).randbytes(50_000))
    with pytest.raises(BrokerError, match="whole records"):
        copy_whole_records(file, tmp_path / "copy.sqlite3")
