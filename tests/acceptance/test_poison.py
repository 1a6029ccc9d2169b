"""An unreadable record stops neither a run nor the commands that inspect it. Once it is readable, it is replayed."""

import json
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import msgspec
from msgspec import structs
from msgspec.structs import replace

from service.adapters.sqlite import SqliteBroker
from service.messaging import codec
from service.messaging.broker import Isolation, NewRecord, Partition, Record
from service.messaging.codec import header
from service.messaging.dead_letters import STAGE_INPUTS
from service.messaging.messages import (
    Answer,
    ClassifiedInstruction,
    Decision,
    Instruction,
    Message,
    Prompt,
    TaskInstances,
)
from service.messaging.record_size import MAX_RECORD_BYTES
from tests.acceptance.conftest import write_seeds
from tests.acceptance.ledger import Ledger, read_ledger
from tests.acceptance.program import Ended, run, run_side_by_side

NAMES = [topic.name for topic in STAGE_INPUTS]
EACH_ONCE = dict.fromkeys(NAMES, 1)


def test_a_poisoned_run_reaches_its_target_with_dead_letters(tmp_path: Path) -> None:
    assert run(tmp_path, "run", "--lm", "simulator", "--target", "5").code == 0
    _write(tmp_path, [NewRecord(topic.of("default"), b"\xff not JSON", key=b"poison") for topic in STAGE_INPUTS])
    ended = run(tmp_path, "run", "--lm", "simulator", "--target", "60")
    assert (ended.code, len(ended.out.splitlines())) == (0, 55)
    assert [len(_dead_letters(tmp_path, name)) for name in NAMES] == [1, 1, 1, 1, 1]
    looked = run_side_by_side(tmp_path, ("status", "--json"), ("explain", "p0.0"), ("export",), ("status",))
    assert [each.code for each in looked] == [0, 0, 0, 0]
    assert "dead letters" in looked[3].out.decode()


def test_records_that_no_dead_letter_can_hold_stop_nothing(tmp_path: Path) -> None:
    assert run(tmp_path, "run", "--lm", "simulator", "--target", "5").code == 0
    huge = b"x" * (2 * MAX_RECORD_BYTES)
    _write(tmp_path, [NewRecord(topic.of("default"), huge, key=b"stranger") for topic in STAGE_INPUTS])
    ended = run(tmp_path, "run", "--lm", "simulator", "--target", "30")
    assert (ended.code, len(ended.out.splitlines())) == (0, 25), ended.err
    replayed = run(tmp_path, "replay")
    expected = sorted(f"{name}: 0 put back, 0 remain, 1 cannot be put back" for name in NAMES)
    assert (replayed.code, sorted(replayed.out.decode().splitlines())) == (0, expected)
    assert _status(tmp_path)["dead_letters"] == EACH_ONCE


def test_a_seed_that_is_too_long_is_refused_before_anything(tmp_path: Path) -> None:
    write_seeds(tmp_path / "seeds.jsonl")
    task = {"id": "long", "instruction": "Sum up.", "instances": [{"input": "x" * MAX_RECORD_BYTES, "output": "y"}]}
    with (tmp_path / "seeds.jsonl").open("a") as file:
        file.write(json.dumps(task) + "\n")
    refused = run(tmp_path, "run", "--lm", "simulator", "--seeds", "seeds.jsonl", "--target", "5")
    assert (refused.code, "line 21: expected a task of at most" in refused.err) == (2, True), refused.err
    assert not (tmp_path / "runs").exists()
    assert run(tmp_path, "run", "--lm", "simulator", "--target", "5").code == 0
    added = run(tmp_path, "seeds", "add", "seeds.jsonl")
    assert (added.code, "'long' takes" in added.err) == (2, True), added.err


def test_records_of_a_later_version_return_to_the_dead_letters(tmp_path: Path) -> None:
    assert run(tmp_path, "run", "--lm", "simulator", "--target", "5").code == 0
    following = _following_prompt(read_ledger(tmp_path))
    later = _of_a_later_version(read_ledger(tmp_path), following)
    _write(tmp_path, later)
    for attempts, target in (("1", 30), ("2", 40)):
        ended = run(tmp_path, "run", "--lm", "simulator", "--target", str(target))
        assert ended.code == 0, ended.err
        facts = _status(tmp_path)
        assert (facts["finished"], facts["dead_letters"]) == (target, EACH_ONCE)
        for name, poison in zip(NAMES, later, strict=True):
            letter = _dead_letters(tmp_path, name)[-1]
            assert header(letter.headers, "__seedstream.errors.attempts") == attempts
            assert (letter.key, letter.value) == (poison.key, poison.value)
            assert letter.headers[: len(poison.headers)] == poison.headers
        listed = run(tmp_path, "replay", "--dry-run")
        assert sorted(line.split("\t")[0] for line in listed.out.decode().splitlines()) == sorted(NAMES)
        put_back = run(tmp_path, "replay")
        assert put_back.code == 0, put_back.err
        assert sorted(put_back.out.decode().splitlines()) == sorted(f"{name}: 1 put back, 0 remain" for name in NAMES)
        assert _status(tmp_path)["dead_letters"] == {}
    assert _status(tmp_path)["paid_twice"] == 0
    assert following.id not in _decided(tmp_path)


def test_a_replayed_prompt_is_answered(tmp_path: Path) -> None:
    flags = ("run", "--lm", "simulator", "--target", "500")
    assert run(tmp_path, *flags, "--max-prompts", "3").code == 4
    buried = _following_prompt(read_ledger(tmp_path))
    record = codec.encode(buried, "default")
    _write(tmp_path, [replace(record, topic=f"{record.topic}.dlq")])
    without = run(tmp_path, *flags, "--max-prompts", "4")
    assert (without.code, "dead letters: 1" in without.err) == (4, True)
    assert _decided(tmp_path) == {"p0", "p1", "p2", "p4"}
    told, refused, put_back = (
        run(tmp_path, *command)
        for command in (("explain", "p3", "--json"), ("replay", "tasks"), ("replay", "prompts", "--limit", "1"))
    )
    assert [letter["topic"] for letter in _json(told)["dead_letters"]] == ["prompts"]
    assert (refused.code, "'tasks'" in refused.err) == (2, True)
    assert put_back.out == b"prompts: 1 put back, 0 remain\n"
    assert run(tmp_path, *flags, "--max-prompts", "5").code == 4
    assert _decided(tmp_path) == {"p0", "p1", "p2", "p3", "p4"}
    again = run(tmp_path, "replay")
    assert (again.code, again.out, "no dead letters" in again.err) == (0, b"", True)


def _following_prompt(ledger: Ledger) -> Prompt:
    last = max(ledger.all(Prompt), key=lambda prompt: prompt.seq)
    return structs.replace(last, id=f"p{last.seq + 1}", seq=last.seq + 1)


def _of_a_later_version(ledger: Ledger, prompt: Prompt) -> list[NewRecord]:
    """Return one record for each topic that stages read, with a type of a new major version."""
    messages: list[Message] = [
        prompt,
        ledger.all(Answer)[0],
        ledger.all(Instruction)[0],
        ledger.all(ClassifiedInstruction)[0],
        ledger.all(TaskInstances)[0],
    ]
    records = [codec.encode(message, "default") for message in messages]
    return [replace(record, headers=tuple(map(_of_version_2, record.headers))) for record in records]


def _of_version_2(header: tuple[str, bytes | None]) -> tuple[str, bytes | None]:
    name, value = header
    return (name, value.removesuffix(b"1") + b"2") if name == "ce_type" and value is not None else header


def _decided(folder: Path) -> set[str]:
    """Return the ids of decided prompts, even if other topics contain poison."""
    exported = run(folder, "export", "--topic", "decisions")
    return {msgspec.json.decode(line, type=Decision).prompt_id for line in exported.lines}


def _status(folder: Path) -> Any:
    return _json(run(folder, "status", "--json"))


def _json(ended: Ended) -> Any:
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def _opened(folder: Path) -> AbstractAsyncContextManager[SqliteBroker]:
    """Open the log of a run without a limit on the size of records, as another program may."""
    return SqliteBroker.open(folder / "runs" / "default.sqlite3", max_record_bytes=1 << 30)


def _write(folder: Path, records: Sequence[NewRecord]) -> None:
    async def write() -> None:
        async with _opened(folder) as broker, broker.producer() as producer:
            await producer.send(records)

    anyio.run(write)


def _dead_letters(folder: Path, topic: str) -> list[Record]:
    async def read() -> list[Record]:
        partition, found = Partition(f"seedstream.default.{topic}.dlq", 0), list[Record]()
        async with (
            SqliteBroker.open(folder / "runs" / "default.sqlite3", read_only=True) as broker,
            broker.reader([partition]) as reader,
        ):
            while reader.position(partition) < await broker.end_offset(partition, Isolation.READ_COMMITTED):
                found += await reader.poll(10, 1.0)
        return found

    return anyio.run(read)
