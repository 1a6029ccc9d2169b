"""An embedded log may be continued by a later version, and by the earlier one again."""

import json
from pathlib import Path

import pytest

from tests.acceptance.invariants import check
from tests.acceptance.ledger import read_ledger
from tests.acceptance.program import CODE, run

pytestmark = pytest.mark.timeout(300)


def test_a_run_is_continued_by_either_version(tmp_path: Path, earlier: Path) -> None:
    for target, code in ((10, earlier), (20, CODE), (30, earlier), (40, CODE)):
        ended = run(tmp_path, "run", "--lm", "simulator", "--target", str(target), code=code)
        assert ended.code == 0, ended.err
        # The earlier version does not note how far it wrote its output: this one writes some tasks again.
        assert {task.task_seq for task in ended.tasks} >= set(range(target - 10, target))
    check(read_ledger(tmp_path), 40)
    for code in (earlier, CODE):
        told = json.loads(run(tmp_path, "status", "--json", code=code).out)
        assert (told["finished"], told["reached"], told["paid_twice"], told["dead_letters"]) == (40, True, 0, {})
        assert len(run(tmp_path, "export", code=code).lines) == 40
