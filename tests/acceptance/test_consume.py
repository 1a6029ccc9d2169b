"""The live stream of finished tasks, consumed by other programs during the run and after it."""

import fcntl
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM, Signals

import anyio
import pytest
from msgspec import structs

from service.adapters.sqlite import SqliteBroker
from service.messaging import codec
from service.messaging.broker import NewRecord, Record
from service.messaging.messages import FinishedTask
from service.messaging.topics import TASKS
from tests.acceptance.conftest import TARGET, FinishedRuns
from tests.acceptance.ledger import read_ledger
from tests.acceptance.program import DEADLINE_S, Ended, run, run_side_by_side, start

_ROOT = Path(__file__).parents[2]
_WIDE = 60


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a finished run whose stream has three partitions."""
    folder = tmp_path_factory.mktemp("wide")
    ended = run(folder, "run", "--lm", "simulator", "--target", str(_WIDE), settings={"PARTITIONS": "3"})
    assert ended.code == 0, ended.err
    return folder


def test_lines_are_record_values_with_offsets_on_request(wide: Path) -> None:
    plain, placed, one = run_side_by_side(
        wide, ("consume", "--until-end"), ("consume", "--until-end", "--offsets"), ("consume", "--limit", "1")
    )
    records = _records(wide)
    assert {record.partition.number for record in records} == {0, 1, 2}
    assert sorted(plain.lines) == sorted((record.value or b"") + b"\n" for record in records)
    assert _places(placed) == {(record.partition.number, record.offset) for record in records}
    for line in placed.lines:
        fields = json.loads(line)
        del fields["partition"], fields["offset"]
        assert json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" in plain.lines
    assert [len(each.lines) for each in (plain, placed, one)] == [_WIDE, _WIDE, 1]
    assert {(each.code, each.err) for each in (plain, placed, one)} == {(0, "")}


def test_the_stream_starts_at_given_offsets(wide: Path) -> None:
    places = _places(run(wide, "consume", "--until-end", "--offsets", "--limit", "40"))
    following = {number: max(offset for each, offset in places if each == number) + 1 for number, _ in places}
    given = ",".join(f"{number}:{offset}" for number, offset in following.items())
    rest = _places(run(wide, "consume", "--until-end", "--offsets", "--from", given))
    assert places.isdisjoint(rest)
    assert places | rest == {(record.partition.number, record.offset) for record in _records(wide)}


def test_a_consumer_that_cannot_work_is_refused(finished_runs: FinishedRuns) -> None:
    wrong: dict[tuple[str, ...], str] = {
        ("--from", "yesterday"): "'yesterday'",
        ("--from", "0:1,0:2"): "each partition once",
        ("--from", "7:0"): "from 0 to 0",
        ("--from", "0:999999"): "where partition 0 ends",
        ("--from", "0:1", "--group", "g"): "where it committed",
        ("--from", "now", "--group", "g"): "where it committed",
        ("--group", "a b"): "'a b'",
        ("--run", "nobody"): "alpaca, capped, default",
        ("--run", "nobody", "--group", "g"): "alpaca, capped, default",
    }
    for said, ended in zip(
        wrong.values(), run_side_by_side(finished_runs.folder, *(("consume", *flags) for flags in wrong)), strict=True
    ):
        assert (ended.code, ended.out) == (2, b""), said
        assert said in ended.err
        assert ended.err.count("\n") == 1
    assert not (finished_runs.folder / "runs" / "nobody.sqlite3").exists()


def test_a_group_resumes_at_its_own_committed_offset(finished_runs: FinishedRuns, tmp_path: Path) -> None:
    folder = finished_runs.copy_to(tmp_path)
    group = ("consume", "--until-end", "--group")
    some, rest, nothing, other = (
        run(folder, *more) for more in ((*group, "g", "--limit", "7"), (*group, "g"), (*group, "g"), (*group, "finish"))
    )
    assert [each.code for each in (some, rest, nothing, other)] == [0, 0, 0, 0]
    assert [len(each.lines) for each in (some, rest, nothing, other)] == [7, TARGET - 7, 0, TARGET]
    assert some.tasks + rest.tasks == finished_runs.ledger().tasks
    assert run(folder, "run", "--lm", "simulator", "--target", str(TARGET + 5)).code == 0
    assert len(run(folder, *group, "g").lines) == 5


@pytest.mark.parametrize(("signal", "code"), [(SIGTERM, 143), (SIGINT, 130)])
def test_a_signal_ends_a_follower_after_it_commits_its_output(wide: Path, signal: Signals, code: int) -> None:
    group = ("consume", "--group", signal.name)
    with start(wide, *group) as follower:
        follower.wait_for_lines(_WIDE)
        follower.send(signal)
        ended = follower.end()
    assert ended.code == code
    assert ended.err.count("\n") == 1, ended.err
    assert "group.starts_at_beginning" in ended.err
    again = run(wide, *group, "--until-end")
    assert (again.lines, again.err) == ((), "")


def test_after_a_kill_a_group_repeats_tasks_but_loses_none(wide: Path) -> None:
    group = ("consume", "--group", "killed")
    with start(wide, *group) as follower:
        follower.wait_for_lines(_WIDE)
        follower.send(SIGKILL)
        first = follower.end()
    again = run(wide, *group, "--until-end")
    assert set(again.lines) <= set(first.lines)
    assert len(set(first.lines)) == _WIDE


def test_followers_see_new_tasks_while_a_group_waits_for_the_run(finished_runs: FinishedRuns, tmp_path: Path) -> None:
    folder, flags = finished_runs.copy_to(tmp_path), ("--lm", "simulator", "--target", "100000")
    follow = ("consume", "--log-level", "debug")
    with start(folder, *follow) as every, start(folder, *follow, "--from", "now") as new:
        every.wait_for_word("consume.opened")
        new.wait_for_word("consume.opened")
        with start(folder, "run", *flags) as working:
            every.wait_for_lines(TARGET + 10)
            new.wait_for_lines(10)
            refused = run(folder, "consume", "--group", "g")
            working.send(SIGTERM)
            done = working.end()
        every.wait_for_lines(len(done.lines) - 10)
        new.wait_for_lines(len(done.lines) - 10)
        every.send(SIGTERM)
        new.send(SIGTERM)
        assert every.end().tasks == read_ledger(folder).tasks
        assert new.end().tasks == done.tasks
    assert (refused.code, refused.out) == (1, b"")
    assert f"process {working.pid} has it" in refused.err


def test_a_closed_pipe_ends_consume_even_without_new_tasks(wide: Path) -> None:
    with start(wide, "consume", read_at_most=3) as short, start(wide, "consume", read_at_most=_WIDE) as whole:
        ended = [short.end(), whole.end()]
    assert [(each.code, each.err, len(each.lines)) for each in ended] == [(141, "", 3), (141, "", _WIDE)]


def test_a_signal_ends_consume_on_an_unread_pipe_without_loss(wide: Path) -> None:
    group = ("consume", "--group", "unread")
    end, other = os.pipe()
    fcntl.fcntl(other, fcntl.F_SETPIPE_SZ, select.PIPE_BUF)
    with os.fdopen(end, "rb") as pipe, _consuming(wide, *group, into=other) as stuck:
        os.close(other)
        assert select.select([pipe], [], [], DEADLINE_S)[0]
        stuck.send_signal(SIGTERM)
        assert stuck.wait(DEADLINE_S) == 143
        written = [line for line in pipe.readlines() if line.endswith(b"\n")]
    rest = run(wide, *group, "--until-end")
    assert written
    assert {*written, *rest.lines} == {(record.value or b"") + b"\n" for record in _records(wide)}


def test_an_unreadable_record_is_reported_and_skipped(finished_runs: FinishedRuns, tmp_path: Path) -> None:
    folder, topic = finished_runs.copy_to(tmp_path), TASKS.of("default")
    spread = _respread(finished_runs.ledger().entries[FinishedTask][0][0])
    anyio.run(_write, folder, [NewRecord(topic, b"\xff not JSON", key=b"poison"), spread])
    ended = run(folder, "consume", "--until-end")
    assert (ended.code, len(ended.lines)) == (1, TARGET + 1)
    assert ended.tasks == [*finished_runs.ledger().tasks, finished_runs.ledger().tasks[0]]
    assert f"{topic}/0/" in ended.err
    assert "1 records could not be read" in ended.err


def test_a_terminal_gets_control_characters_as_escapes(finished_runs: FinishedRuns, tmp_path: Path) -> None:
    folder, task = finished_runs.copy_to(tmp_path), finished_runs.ledger().tasks[0]
    hostile = structs.replace(task, instruction="\x9b2J \u202e evil", task_seq=TARGET)
    anyio.run(_write, folder, [codec.encode(hostile, "default")])
    with start(folder, "consume", "--until-end", terminal=True) as shown:
        on_terminal = shown.end()
    piped = run(folder, "consume", "--until-end")
    assert on_terminal.tasks == piped.tasks
    assert hostile in piped.tasks
    assert b"\\u009b2J \\u202e evil" in on_terminal.out
    assert "\x9b2J \u202e evil".encode() in piped.out


def _records(folder: Path) -> list[Record]:
    return [record for record, _ in read_ledger(folder).entries[FinishedTask]]


def _places(ended: Ended) -> set[tuple[int, int]]:
    assert ended.code == 0, ended.err
    fields = [json.loads(line) for line in ended.lines]
    return {(each["partition"], each["offset"]) for each in fields}


def _respread(record: Record) -> NewRecord:
    """Return a record whose JSON is spread over several lines."""
    value = json.dumps(json.loads(record.value or b""), indent=2).encode()
    return NewRecord(record.partition.topic, value, record.key, record.headers)


async def _write(folder: Path, records: list[NewRecord]) -> None:
    async with SqliteBroker.open(folder / "runs" / "default.sqlite3") as broker, broker.producer() as producer:
        await producer.send(records)


@contextmanager
def _consuming(folder: Path, *arguments: str, into: int) -> "Iterator[subprocess.Popen[bytes]]":
    """Start the program with a standard output that the test may leave unread."""
    command = [sys.executable, "-m", "service", *arguments]
    environment = {"PATH": os.defpath, "PYTHONPATH": str(_ROOT)}
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=into) as process:
        try:
            yield process
        finally:
            process.kill()
