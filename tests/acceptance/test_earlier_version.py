"""An embedded log may be continued by a later version, and by an earlier one, unless that cannot read it."""

import json
from pathlib import Path

import anyio
import pytest

from service.adapters.sqlite import SqliteBroker
from service.messaging.topics import DECISIONS
from tests.acceptance.invariants import check
from tests.acceptance.ledger import read_ledger
from tests.acceptance.program import CODE, run
from tests.support.logs import RUN, write
from tests.support.newer import by_newer

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


def test_commands_say_which_records_they_lack(tmp_path: Path) -> None:
    async def decide_in_a_newer_way() -> None:
        async with SqliteBroker.open(tmp_path / "runs" / f"{RUN}.sqlite3") as broker:
            await write(broker, by_newer(DECISIONS), by_newer(DECISIONS))

    command = ("run", "--lm", "simulator", "--run", RUN, "--target")
    assert run(tmp_path, *command, "5").code == 0
    anyio.run(decide_in_a_newer_way)
    told = json.loads(run(tmp_path, "status", "--json", "--run", RUN).out)
    assert (told["unread"], told["pending"], told["finished"]) == ({"decisions": 2}, None, 5)
    assert "decisions 2: records that only a newer" in run(tmp_path, "cost", "--run", RUN).err
    refused = run(tmp_path, *command, "10")
    assert refused.code == 1
    assert "Seedstream 99.0.0 wrote this record" in refused.err
    assert "upgrade this process" in refused.err
