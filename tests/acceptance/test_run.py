"""`seedstream run`: exactly as many tasks as the target, after any interruption, and clear errors."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT, SIGTERM
from socket import socket

from anyio.from_thread import start_blocking_portal

from service.messaging.messages import Answer, ClassifiedInstruction, Decision, FailedPrompt, Instruction, Prompt
from service.simulator.journal import Entry
from tests.acceptance.conftest import TARGET, FinishedRuns
from tests.acceptance.invariants import check, check_at_any_moment
from tests.acceptance.ledger import read_ledger
from tests.acceptance.model import Model, simulated
from tests.acceptance.program import run, run_side_by_side, start
from tests.adapters.scripted_server import ScriptedServer, refusal, scripted_server

_KEY = "sk-acceptance-0123456789"


def test_a_run_ends_with_exactly_the_target_number_of_tasks(finished_runs: FinishedRuns) -> None:
    assert finished_runs.ended["default"].code == 0
    check(finished_runs.ledger(), TARGET)


def test_a_pipe_gets_only_the_tasks_of_the_log_as_json_lines(finished_runs: FinishedRuns) -> None:
    ended = finished_runs.ended["default"]
    assert ended.tasks == finished_runs.ledger().tasks
    assert [task.task_seq for task in ended.tasks] == list(range(TARGET))
    fields = {"task_seq", "id", "instruction", "is_classification", "instances", "pool_seq", "provenance"}
    assert all(json.loads(line).keys() == fields for line in ended.lines)
    assert ended.err.endswith(f"target reached: {TARGET} tasks are finished\n")


def test_with_one_call_at_a_time_a_seed_fixes_the_output(finished_runs: FinishedRuns) -> None:
    assert finished_runs.ended["one"].out == finished_runs.ended["two"].out
    assert len(finished_runs.ended["one"].tasks) == 20


def test_a_pipe_gets_the_tasks_after_the_last_one_written(finished_runs: FinishedRuns, tmp_path: Path) -> None:
    folder, target = finished_runs.copy_to(tmp_path), ("run", "--lm", "simulator", "--target")
    assert run(folder, *target, str(TARGET)).tasks == []
    again = run(folder, *target, str(TARGET), "--tasks", "all")
    assert (again.code, again.tasks) == (0, finished_runs.ledger().tasks)
    with start(folder, *target, str(TARGET + 5), terminal=True) as program:
        assert program.end().code == 0
    new = run(folder, *target, str(TARGET + 10), "--tasks", "new")
    assert [task.task_seq for task in new.tasks] == list(range(TARGET + 5, TARGET + 10))


def test_a_first_pipe_gets_the_tasks_that_a_terminal_showed(tmp_path: Path) -> None:
    command = ("run", "--lm", "simulator", "--target", "5")
    with start(tmp_path, *command, terminal=True) as program:
        assert program.end().code == 0
    with start(tmp_path, *command, "--tasks", "resume", terminal=True) as program:
        refused = program.end()
    assert refused.code == 2
    assert "got a terminal" in refused.err
    first = run(tmp_path, *command)
    assert [task.task_seq for task in first.tasks] == list(range(5))
    assert "its 5 finished tasks are written first" in first.err


def test_alpaca_writes_whole_tasks_in_one_call(finished_runs: FinishedRuns) -> None:
    ledger = finished_runs.ledger("alpaca")
    check(ledger, TARGET)
    assert all(task.is_classification is None and len(task.instances) == 1 for task in ledger.tasks)
    assert not ledger.all(Instruction)
    assert not ledger.all(ClassifiedInstruction)


def test_prompts_show_own_seeds_with_additional_fields(finished_runs: FinishedRuns) -> None:
    ledger = finished_runs.ledger("alpaca")
    assert ledger.definition.seed_count == 20
    assert all(name.startswith("mine_") for prompt in ledger.all(Prompt) for name in prompt.demonstrations)


def test_a_reached_target_is_raised_from_pending_tasks_first(finished_runs: FinishedRuns, tmp_path: Path) -> None:
    folder, before = finished_runs.copy_to(tmp_path), finished_runs.ledger()
    paid = set(before.completed_prompts())
    more = max(1, len(before.pending) // 2)
    with simulated() as model:
        same, other_target = ("run", *model.flags, "--target", str(TARGET)), str(TARGET + more)
        again = run(folder, *same)
        assert (again.code, again.out, model.requests()) == (0, b"", [])
        higher = run(folder, *same[:-1], other_target)
        requests = model.wait_until_idle()
    assert higher.code == 0, higher.err
    assert [task.task_seq for task in higher.tasks] == list(range(TARGET, TARGET + more))
    assert {task.id for task in higher.tasks} <= before.pending, "there was enough left, and more was bought"
    assert paid.isdisjoint(_asked(requests))
    after = read_ledger(folder)
    assert after.all(Prompt) == before.all(Prompt)
    check(after, TARGET + more)


def test_another_recipe_or_other_seeds_are_refused_by_difference(
    finished_runs: FinishedRuns, tmp_path: Path, own_seeds: Path
) -> None:
    folder = finished_runs.copy_to(tmp_path)
    other = ("--recipe", "alpaca", "--seeds", own_seeds, "--seed", "5", "--target", "1000")
    ended = run(folder, "run", "--lm", "simulator", *other)
    assert (ended.code, ended.out) == (2, b"")
    for said in ("self-instruct", "alpaca", "has 175 with digest", "has 0, asked for 5", "--run"):
        assert said in ended.err
    assert read_ledger(folder).offsets == finished_runs.ledger().offsets


def test_bad_options_are_refused_at_once_and_leave_no_files(tmp_path: Path, own_seeds: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    lines = own_seeds.read_text().splitlines()
    broken.write_text("\n".join([*lines[:2], lines[2].replace('"instruction"', '"instructions"'), *lines[3:]]))
    before = set(tmp_path.iterdir())
    with simulated() as model:
        wrong: dict[str, tuple[str | Path, ...]] = {
            "broken.jsonl, line 3: instruction": ("--seeds", broken),
            "absent.jsonl": ("--seeds", "absent.jsonl"),
            "run (its flag, SEEDSTREAM_RUN or seedstream.toml)": ("--run", "../evil"),
        }
        ended = run_side_by_side(tmp_path, *(("run", *model.flags, *flags) for flags in wrong.values()))
        assert model.requests() == []
    for said, each in zip(wrong, ended, strict=True):
        assert (each.code, each.out) == (2, b""), each.err
        assert said in each.err
        assert each.err.count("\n") <= 2
    assert set(tmp_path.iterdir()) == before


def test_an_unreachable_server_is_reported_before_the_run_begins(tmp_path: Path) -> None:
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        began = time.monotonic()
        ended = run(tmp_path, "run", "--lm", "openai", "--lm-url", url, "--model", "any")
    assert (ended.code, ended.out) == (2, b"")
    assert "cannot be reached" in ended.err
    assert url in ended.err
    assert time.monotonic() - began < 30  # a machine that is busy takes some seconds to start a process
    assert not list(tmp_path.rglob("*.sqlite3"))


def test_a_refused_key_stops_the_run_and_is_shown_nowhere(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{_KEY}\n")
    with _refusing() as server:
        flags = ("--lm", "openai", "--lm-url", server.url, "--model", "any", "--lm-api-key-file", "key")
        ended = run(tmp_path, "run", *flags, "--log-level", "debug")
        assert {request.headers["Authorization"] for request in server.requests} == {f"Bearer {_KEY}"}
    assert (ended.code, ended.out) == (5, b"")
    assert "401" in ended.err
    assert "Check the API key" in ended.err
    assert _KEY not in ended.err
    ledger = read_ledger(tmp_path)
    check_at_any_moment(ledger)
    assert not ledger.all(Answer)
    assert not ledger.all(FailedPrompt)


def test_a_cap_on_prompts_ends_the_run_with_the_reasons(finished_runs: FinishedRuns) -> None:
    ended, ledger = finished_runs.ended["capped"], finished_runs.ledger("capped")
    assert ended.code == 4, ended.err
    check_at_any_moment(ledger)
    assert len(ledger.all(Prompt)) == len(ledger.all(Decision)) == 3
    assert not ledger.pending
    assert ended.tasks == ledger.tasks
    assert "prompts exhausted: all 3 prompts allowed are used up; refused so far: " in ended.err
    refused = Counter(each.reason for decision in ledger.all(Decision) for each in decision.verdicts if each.reason)
    assert all(f"{reason.value} {count}" in ended.err for reason, count in refused.items())


def test_a_model_that_repeats_itself_ends_the_run_with_reasons(finished_runs: FinishedRuns) -> None:
    ended, ledger = finished_runs.ended["stalled"], finished_runs.ledger("stalled")
    assert ended.code == 3, ended.err
    check_at_any_moment(ledger)
    assert re.search(r"stalled: \d+ prompts in a row gave no accepted task; refused so far: too_similar \d+", ended.err)


def test_signals_drain_calls_in_flight_and_the_run_can_resume(tmp_path: Path) -> None:
    with simulated(time_to_first_token_s=0.05, time_to_first_token_std_dev_s=0.02) as model:
        command = ("run", *model.flags, "--concurrency", "8", "--target", "40")
        for signal, code in ((SIGTERM, 143), (SIGINT, 130)):
            with start(tmp_path, *command) as program:
                program.wait_for_lines(5)
                program.send(signal)
                ended = program.end()
            assert ended.code == code, ended.err
            assert f"{signal.name}: finishing the calls in flight" in ended.err
            _check_nothing_in_flight_was_lost(model, tmp_path)
        last = run(tmp_path, *command)
        _check_nothing_in_flight_was_lost(model, tmp_path)
    assert last.code == 0, last.err
    check(read_ledger(tmp_path), 40)


def test_a_run_stays_locked_until_a_second_interrupt_ends_it(tmp_path: Path) -> None:
    with simulated(time_to_first_token_s=60.0) as model:
        with start(tmp_path, "run", *model.flags, "--concurrency", "4") as program:
            model.wait_until_busy(4)
            other = run(tmp_path, "run", *model.flags)
            assert (other.code, other.out) == (1, b"")
            assert f"process {program.pid} has it" in other.err
            program.send(SIGINT)
            program.wait_for_word("once more to exit at once")
            program.send(SIGINT)
            assert program.end().code == 130
        assert [request.status for request in model.wait_until_idle()] == [499] * 4
    check_at_any_moment(read_ledger(tmp_path))


def test_a_closed_pipe_ends_the_run_quietly(tmp_path: Path) -> None:
    with start(tmp_path, "run", "--lm", "simulator", "--target", "500", read_at_most=2) as program:
        ended = program.end()
    assert ended.code == 141
    assert len(ended.tasks) == 2
    assert "Exception" not in ended.err
    assert "BrokenPipe" not in ended.err
    check_at_any_moment(read_ledger(tmp_path))


def test_a_terminal_shows_tasks_as_text_above_a_panel(tmp_path: Path) -> None:
    with start(tmp_path, "run", "--lm", "simulator", "--target", "5", terminal=True) as program:
        ended = program.end()
    assert ended.code == 0
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", ended.out.decode())
    for task in read_ledger(tmp_path).tasks:
        words = " ".join(task.instruction.split()[:4])
        assert f"#{task.task_seq + 1} {words}" in shown
    assert "output  " in shown
    assert "default · self-instruct" in shown
    assert "5 of 5" in shown
    assert '"task_seq"' not in shown


def _check_nothing_in_flight_was_lost(model: Model, folder: Path) -> None:
    requests = model.wait_until_idle()
    ledger = read_ledger(folder)
    check_at_any_moment(ledger)
    assert {request.status for request in requests} == {200}
    assert sorted(_asked(requests)) == sorted(ledger.completed_prompts())


def _asked(requests: list[Entry]) -> list[str]:
    return [request.prompt_sha256 for request in requests if request.prompt_sha256 is not None]


@contextmanager
def _refusing() -> Iterator[ScriptedServer]:
    """Run a server that refuses every key, and repeats it in the error."""
    steps = [refusal(401, f"Incorrect API key provided: {_KEY}.") for _ in range(200)]
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(scripted_server(*steps)) as server:
        yield server


def test_run_resumes_a_paused_run_and_says_so(tmp_path: Path) -> None:
    simulator = {"lm": "simulator"}
    assert run(tmp_path, "goal", "--target", "5", "--pause", settings=simulator).code == 0
    resumed = run(tmp_path, "run", "--lm", "simulator")
    assert (resumed.code, len(resumed.tasks)) == (0, 5)
    assert "the run was paused: it goes on" in resumed.err
    refused = run(tmp_path, "goal", "--pause", settings=simulator)
    assert refused.code == 2
    assert "reached its target of 5 tasks" in refused.err


def test_a_port_that_is_taken_leaves_no_run_behind(tmp_path: Path) -> None:
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = run(tmp_path, "run", "--lm", "simulator", "--target", "5", "--web", "--web-port", port)
    assert refused.code == 2
    assert f"cannot listen on 127.0.0.1:{port}" in refused.err
    assert list((tmp_path / "runs").glob("*")) == []
