"""A damaged file: every command says so in one line, and `salvage` makes a run of what is whole."""

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.errors import BrokerError
from service.messaging.messages import FinishedTask
from tests.acceptance.conftest import TARGET, FinishedRuns
from tests.acceptance.invariants import (
    every_accepted_task_is_finished_or_dropped_or_still_queued,
    exactly_as_many_tasks_as_wanted,
    pool_seq_is_dense_and_ordered,
    task_ids_are_unique,
    task_seq_is_dense,
    the_pool_is_what_the_decisions_accepted,
)
from tests.acceptance.ledger import read_ledger
from tests.acceptance.model import simulated
from tests.acceptance.program import run, run_side_by_side
from tests.support.commands import invoke
from tests.support.damage import flip_bytes

_PLACES = 25


@pytest.mark.parametrize("flips", [1, 200])
def test_commands_read_a_damaged_run_whole_or_refuse_it(
    finished_runs: FinishedRuns, tmp_path: Path, flips: int
) -> None:
    copy = tmp_path / "default.sqlite3"
    where = ("--broker", f"sqlite:{tmp_path}")
    tasks = finished_runs.ledger().tasks
    for seed in range(_PLACES):
        shutil.copy(finished_runs.folder / "runs" / "default.sqlite3", copy)
        flip_bytes(copy, flips, seed)
        status = invoke("status", "--json", *where)
        exported = invoke("export", *where)
        for ended in (status, exported):
            assert ended.exit_code == 0 or _is_refusal(ended.exception), ended
        if status.exit_code == 0:
            assert json.loads(status.stdout)["finished"] == TARGET
        if exported.exit_code == 0:
            assert [msgspec.json.decode(line, type=FinishedTask) for line in exported.stdout.splitlines()] == tasks


def _is_refusal(error: BaseException | None) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.split(BrokerError)[1] is None
    return isinstance(error, BrokerError)


def test_a_damaged_run_is_salvaged_and_continued(finished_runs: FinishedRuns, tmp_path: Path) -> None:
    folder, old = finished_runs.copy_to(tmp_path), finished_runs.ledger()
    flip_bytes(folder / "runs" / "default.sqlite3", 40, "salvage")
    commands = run_side_by_side(folder, ("status",), ("export",), ("explain", "p0"), ("cost",))
    for ended in (command for command in commands if command.code):  # the others read an undamaged part of the log
        assert (ended.code, ended.out, ended.err.count("\n")) == (1, b"", 1)
        assert "damaged" in ended.err
        assert "`seedstream salvage --run default --into NAME`" in ended.err
    made = run(folder, "salvage", "--into", "whole", "--json", "--lm", "simulator")
    again = run(folder, "salvage", "--into", "whole")
    exported = run(folder, "export", "--run", "whole")
    facts = json.loads(made.out)
    assert (made.code, again.code, exported.code) == (1, 2, 0), made.err + again.err + exported.err
    assert {each["topic"] for each in facts["lost"]} <= {partition.topic for partition, _ in old.offsets}
    assert (facts["finished"], facts["defined"]) == (TARGET, True)
    _check_counts(facts, len({task.id for task in exported.tasks} & {task.id for task in old.tasks}))
    assert f"{facts['came_back']} of at least {facts['finished_before']} finished tasks came back" in made.err
    paid = read_ledger(folder, "whole").completed_prompts()
    assert len(paid) > len(old.completed_prompts()) / 2
    with simulated() as model:
        ended = run(folder, "run", "--run", "whole", "--target", str(TARGET + 10), *model.flags)
        asked = {request.prompt_sha256 for request in model.wait_until_idle()}
    assert ended.code == 0, ended.err
    assert asked.isdisjoint(paid)
    new = read_ledger(folder, "whole")
    exactly_as_many_tasks_as_wanted(new, TARGET + 10)
    for invariant in _OF_A_SALVAGED_RUN:
        invariant(new)


def _check_counts(facts: dict[str, Any], came_back: int) -> None:
    """Check counts of which damage may hide the last numbers: where records differ, so do the pages that are hit."""
    before = facts["finished_before"]
    assert TARGET - 8 <= facts["came_back"] <= min(came_back, before) <= before <= TARGET
    assert facts["came_back"] == came_back or not facts["lost_tasks"]["exact"]
    assert facts["lost_tasks"]["count"] == before - facts["came_back"]
    assert facts["finished_anew"] == TARGET - facts["came_back"]


# Prompts without an answer and parents of tasks may be lost, so the invariants of those are left out.
_OF_A_SALVAGED_RUN = (
    task_ids_are_unique,
    task_seq_is_dense,
    pool_seq_is_dense_and_ordered,
    the_pool_is_what_the_decisions_accepted,
    every_accepted_task_is_finished_or_dropped_or_still_queued,
)
