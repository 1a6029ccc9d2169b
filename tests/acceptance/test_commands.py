"""The commands around a run: inspect it, export its tasks, change its recipe and its seeds."""

import json
import os
import re
import urllib.request
from collections import Counter
from pathlib import Path
from signal import SIGTERM
from typing import Any

import msgspec

from service.dataset.seeds import load_seeds
from service.messaging.messages import Decision, Origin, PooledTask, Prompt, SubmittedSeed
from service.messaging.topics import ALL
from tests.acceptance.conftest import TARGET, FinishedRuns
from tests.acceptance.invariants import (
    check,
    check_at_any_moment,
    every_accepted_task_is_finished_or_dropped_or_still_queued,
    no_call_is_recorded_twice,
    no_machine_task_is_too_similar_to_an_earlier_one,
    pool_seq_is_dense_and_ordered,
    task_ids_are_unique,
    the_pool_is_what_the_decisions_accepted,
)
from tests.acceptance.ledger import read_ledger
from tests.acceptance.model import simulated
from tests.acceptance.program import Ended, run, run_side_by_side, start


def test_status_counts_the_records_of_the_log(finished_runs: FinishedRuns) -> None:
    commands = (("status", "--json"), ("status", "--run", "alpaca"), ("status", "--run", "nobody"))
    shown, plain, absent = run_side_by_side(finished_runs.folder, *commands)
    status, ledger = _json(shown), finished_runs.ledger()
    machine = len(ledger.accepted)
    verdicts = [each for decision in ledger.all(Decision) for each in decision.verdicts]
    assert (status["run"], status["target"], status["finished"], status["reached"]) == ("default", TARGET, TARGET, True)
    assert status["pool"] == {"size": 175 + machine, "human": 175, "machine": machine}
    assert status["prompts"]["issued"] == len(ledger.all(Prompt))
    assert (status["candidates"]["judged"], status["candidates"]["accepted"]) == (len(verdicts), machine)
    assert status["candidates"]["rejected"] == Counter(each.reason.value for each in verdicts if each.reason)
    assert status["pending"] == len(ledger.pending)
    assert status["instances"] == sum(len(task.instances) for task in ledger.tasks)
    assert sum(spent["calls"] for spent in status["spent"].values()) == len(ledger.completed_prompts())
    tokens = {kind: sum(spent[kind] for spent in status["spent"].values()) for kind in _PRICES}
    assert round(status["cost_usd"] * 1e6) == sum(_PRICES[kind] * count for kind, count in tokens.items())
    assert plain.code == 0
    assert f"{TARGET} of {TARGET}" in plain.out.decode()
    assert (absent.code, absent.out) == (2, b"")
    assert "'nobody'" in absent.err
    assert "alpaca, capped, default, one, stalled, two" in absent.err


_PRICES = {"prompt_tokens": 1, "completion_tokens": 2}


def test_explain_shows_how_tasks_were_finished_or_rejected(finished_runs: FinishedRuns) -> None:
    ledger = finished_runs.ledger()
    task = ledger.tasks[0]
    refused = next(each for decision in ledger.all(Decision) for each in decision.verdicts if each.nearest is not None)
    commands = (("explain", task.id, "--json"), ("explain", refused.id, "--json"), ("explain", "x9"))
    of_task, of_refused, of_nothing = run_side_by_side(finished_runs.folder, *commands)
    facts = _json(of_task)
    assert (facts["state"], facts["instruction"]) == ("finished", task.instruction)
    assert tuple(parent["id"] for parent in facts["parents"]) == task.provenance.parents
    assert facts["calls"].keys() == {"generate", "classify", "instances"}
    assert len(facts["nearest"]["most_similar"]) == 10
    assert facts["cost_usd"] > 0
    facts = _json(of_refused)
    assert (facts["state"], facts["reason"]) == ("rejected", "too_similar")
    assert facts["nearest"]["id"] == refused.nearest
    assert facts["nearest"]["score"] == refused.score
    assert (of_nothing.code, of_nothing.out) == (2, b"")
    assert "'x9'" in of_nothing.err


def test_export_writes_each_form(finished_runs: FinishedRuns, tmp_path: Path) -> None:
    commands = (
        ("export",),
        ("export", "--format", "alpaca", "--output", tmp_path / "alpaca.json"),
        ("export", "--format", "self-instruct", "--output", tmp_path / "seeds.jsonl"),
    )
    lines, alpaca, again = run_side_by_side(finished_runs.folder, *commands)
    tasks = finished_runs.ledger().tasks
    assert lines.tasks == tasks
    assert (alpaca.code, alpaca.out, again.code, again.out) == (0, b"", 0, b"")
    assert json.loads((tmp_path / "alpaca.json").read_text()) == [
        {"instruction": task.instruction, "input": instance.input, "output": instance.output}
        for task in tasks
        for instance in task.instances
    ]
    seeds = load_seeds(tmp_path / "seeds.jsonl")
    assert [(seed.id, seed.instruction) for seed in seeds] == [(task.id, task.instruction) for task in tasks]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alpaca.json", "seeds.jsonl"]


def test_export_of_a_topic_writes_all_records_or_until_closed(finished_runs: FinishedRuns) -> None:
    with start(finished_runs.folder, "export", "--topic", "candidates", read_at_most=1) as head:
        pool, wrong = run_side_by_side(
            finished_runs.folder, ("export", "--topic", "pool"), ("export", "--topic", "nothing")
        )
        ended = head.end()
    assert [msgspec.json.decode(line, type=PooledTask) for line in pool.lines] == finished_runs.ledger().all(PooledTask)
    assert wrong.code == 2
    assert all(topic.name in wrong.err for topic in ALL)
    assert (ended.code, ended.err) == (141, "")


def test_refilter_compares_verdicts_and_a_new_run_reuses_calls(finished_runs: FinishedRuns, tmp_path: Path) -> None:
    folder, old = finished_runs.copy_to(tmp_path), finished_runs.ledger()
    stricter = ("refilter", "--threshold", "0.4")
    compared, made = run_side_by_side(folder, ("refilter",), (*stricter, "--into", "stricter"))
    assert [compared.code, made.code] == [0, 0], made.err
    assert all(before == after for before, after in _table(compared).values())
    accepted = _table(made)["accepted"]
    assert accepted[0] == len(old.accepted) > accepted[1]
    assert read_ledger(folder).offsets == old.offsets
    new = read_ledger(folder, "stricter")
    assert len(new.accepted) == accepted[1]
    for invariant in _OF_A_REFILTERED_RUN:
        invariant(new)
    with simulated() as model:
        ended = run(folder, "run", "--run", "stricter", *model.flags)
        asked = {request.prompt_sha256 for request in model.wait_until_idle()}
    assert (ended.code, "offset.missing" in ended.err) == (0, False), ended.err
    assert asked.isdisjoint(new.completed_prompts())
    new = read_ledger(folder, "stricter")
    assert len(new.tasks) == TARGET
    for invariant in _OF_A_REFILTERED_RUN:
        invariant(new)


# The new recipe may have rejected the parents of a task, so the invariants of parents are left out.
_OF_A_REFILTERED_RUN = (
    task_ids_are_unique,
    pool_seq_is_dense_and_ordered,
    no_call_is_recorded_twice,
    the_pool_is_what_the_decisions_accepted,
    every_accepted_task_is_finished_or_dropped_or_still_queued,
    no_machine_task_is_too_similar_to_an_earlier_one,
)


def test_added_seeds_appear_in_prompts_after_the_cap_is_raised(
    finished_runs: FinishedRuns, tmp_path: Path, own_seeds: Path
) -> None:
    folder, old = finished_runs.copy_to(tmp_path), finished_runs.ledger("capped")
    more, changed = tmp_path / "more.jsonl", tmp_path / "changed.jsonl"
    known = msgspec.to_builtins(old.all(SubmittedSeed)[0].seed)
    more.write_text(own_seeds.read_text() + json.dumps(known))
    changed.write_text(own_seeds.read_text().replace("moon phases", "moons"))
    added = run(folder, "seeds", "add", "--run", "capped", more)
    assert (added.code, added.err) == (0, "20 seed tasks added, 1 was there already\n")
    clash = run(folder, "seeds", "add", "--run", "capped", changed)
    assert clash.code == 2
    assert "'mine_8'" in clash.err
    ended = run(folder, "run", "--run", "capped", "--lm", "simulator", "--max-prompts", "10")
    assert ended.code == 4, ended.err
    ledger = read_ledger(folder, "capped")
    check_at_any_moment(ledger)
    assert sum(task.origin is Origin.HUMAN for task in ledger.all(PooledTask)) == 195
    assert [*finished_runs.ended["capped"].tasks, *ended.tasks] == ledger.tasks
    assert len(ledger.all(Prompt)) == 10
    assert ledger.all(Prompt)[:3] == old.all(Prompt)
    assert any(name.startswith("mine_") for prompt in ledger.all(Prompt)[3:] for name in prompt.demonstrations)


def test_config_shows_the_sources_of_settings_and_masks_secrets(tmp_path: Path) -> None:
    (tmp_path / "seedstream.toml").write_text('target = 7\nrun = "from-file"\npatience = 3\n')
    secret = "sk-never-to-be-seen"
    commands = (("config", "--json", "--run", "from-flag"), ("config",))
    environment = {"LM_API_KEY": secret, "PATIENCE": "4"}
    as_json, as_table = run_side_by_side(tmp_path, *commands, settings=environment)
    facts = _json(as_json)
    wanted = {
        "run": ("from-flag", "flag"),
        "patience": (4, "environment"),
        "target": (7, "seedstream.toml"),
        "broker": ("sqlite:runs", "default"),
        "lm_api_key": ("***", "environment"),
    }
    assert {name: (facts[name]["value"], facts[name]["from"]) for name in wanted} == wanted
    assert "***" in as_table.out.decode()
    assert secret not in as_json.out.decode() + as_json.err + as_table.out.decode() + as_table.err


def test_check_and_preview_try_and_store_nothing(tmp_path: Path) -> None:
    checked, seen = run_side_by_side(
        tmp_path,
        ("check", "--lm", "simulator"),
        ("preview", "--lm", "simulator", "--target", "3", "--patience", "30"),
        settings={"STATE_DIR": str(tmp_path / "state")},
    )
    assert (checked.code, checked.err) == (0, "")
    words = {line.split()[1] for line in checked.out.decode().splitlines() if line.startswith("ok")}
    assert words == {"seeds", "recipe", "templates", "log", "model", "trial"}
    assert seen.code == 0, seen.err
    assert [task.task_seq for task in seen.tasks] == [0, 1, 2]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_run_that_is_refused_at_its_start_leaves_no_file(tmp_path: Path) -> None:
    server = ("--lm", "openai", "--model", "m", "--lm-url", "http://127.0.0.1:9/v1")
    commands = (("run", *server), ("run", "--run", "dear", "--lm", "simulator", "--budget", "1"))
    for ended in run_side_by_side(tmp_path, *commands):
        assert ended.code == 2, ended.err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_simulator_serves_a_run_and_watch_follows_it(tmp_path: Path) -> None:
    latency = ("--time-to-first-token", "400ms")
    with start(tmp_path, "simulator", "--port", "0", *latency) as simulator:
        found = re.search(r"http://127\.0\.0\.1:\d+/v1", simulator.wait_for_word("http://"))
        assert found is not None
        flags = ("--lm", "openai", "--lm-url", found[0], "--model", "seedstream-simulator")
        with start(tmp_path, "run", *flags, "--target", "60", "--concurrency", "4") as program:
            program.wait_for_lines(1)
            with start(tmp_path, "watch") as watcher:
                watcher.wait_for_lines(1)
                ended, watched = program.end(), watcher.end()
        with urllib.request.urlopen(f"{found[0].removesuffix('/v1')}/sim/requests", timeout=5) as answer:
            requests = json.load(answer)["requests"]
        simulator.send(SIGTERM)
        assert simulator.end().code == 0
    assert (ended.code, watched.code) == (0, 0), ended.err + watched.err
    assert watched.lines
    assert watched.lines == ended.lines[-len(watched.lines) :]
    ledger = read_ledger(tmp_path)
    check(ledger, 60)
    assert {request["path"] for request in requests} == {"/v1/chat/completions"}
    assert sorted(ledger.completed_prompts()) == sorted(request["prompt_sha256"] for request in requests)


def _json(ended: Ended) -> dict[str, Any]:
    assert ended.code == 0, ended.err
    facts: dict[str, Any] = json.loads(ended.out)
    return facts


def _table(ended: Ended) -> dict[str, tuple[int, int]]:
    """Return the rows of a printed table of counts."""
    rows = re.findall(r"│ (\w+) +│ (\d+) +│ (\d+) +│", ended.out.decode())
    return {name: (int(before), int(after)) for name, before, after in rows}


def test_an_export_never_replaces_a_pipe_or_a_link(finished_runs: FinishedRuns, tmp_path: Path) -> None:
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target"
    os.mkfifo(pipe)
    link.symlink_to(target)
    with start(finished_runs.folder, "export", "--output", pipe) as program:
        lines = pipe.read_bytes().splitlines()
        assert program.end().code == 0
    missing = tmp_path / "no" / "where"
    followed, dashed, refused = run_side_by_side(
        finished_runs.folder, ("export", "--output", link), ("export", "--output", "-"), ("export", "--output", missing)
    )
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert (len(lines), followed.code, len(target.read_bytes().splitlines())) == (TARGET, 0, TARGET)
    assert (dashed.code, len(dashed.lines)) == (0, TARGET)
    assert (refused.code, str(missing) in refused.err) == (2, True)
    assert not list(finished_runs.folder.glob("*.partial"))


def test_version_unknown_ids_and_bad_names_are_answered(finished_runs: FinishedRuns) -> None:
    version, nonsense, watching, into = run_side_by_side(
        finished_runs.folder,
        ("--version",),
        ("explain", "p0.99"),
        ("watch",),
        ("refilter", "--into", "a b"),
    )
    assert (version.code, version.out) == (0, b"0.1.0\n")
    assert (nonsense.code, "p0.99" in nonsense.err) == (2, True)
    assert watching.code == 0
    assert (into.code, "--into" in into.err) == (2, True)
