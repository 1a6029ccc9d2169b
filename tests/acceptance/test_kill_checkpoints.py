"""A run with checkpoints that is killed, and whose checkpoints are harmed, goes on as the log says.

Its checkpoints are written all the time, so that some kills come while one is written.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from signal import SIGKILL

import pytest

from tests.acceptance.invariants import check, check_at_any_moment
from tests.acceptance.ledger import read_ledger
from tests.acceptance.model import simulated
from tests.acceptance.program import run, start
from tests.support.saving_often import code_that_saves_often

pytestmark = [pytest.mark.kill, pytest.mark.timeout(400)]

_TARGET = 100
_SETTINGS = {"PARTITIONS": "2"}


def leave(_state: Path, _elsewhere: Path) -> None:
    """Use the checkpoints as they are, with what was being written when the process was killed."""


def tear(state: Path, _elsewhere: Path) -> None:
    for checkpoint in state.glob("*.checkpoint"):
        checkpoint.write_bytes(checkpoint.read_bytes()[:-7])


def exchange(state: Path, elsewhere: Path) -> None:
    """Put the checkpoints of another run there."""
    shutil.copytree(elsewhere, state, dirs_exist_ok=True)


def lose_some(state: Path, _elsewhere: Path) -> None:
    """Leave the checkpoint of one stage alone, so that they stand at different places."""
    for checkpoint in sorted(state.glob("*.checkpoint"))[1:]:
        checkpoint.unlink()


_HARMS: tuple[Callable[[Path, Path], None], ...] = (leave, tear, exchange, leave, lose_some)


def test_a_killed_run_goes_on_whatever_its_checkpoints_are(tmp_path: Path) -> None:
    rng, code = Random("checkpoints"), code_that_saves_often(tmp_path)
    state, saved, elsewhere = tmp_path / "runs" / "default.state", tmp_path / "saved", tmp_path / "elsewhere"
    written = set[str]()
    with simulated(seed=3, time_to_first_token_s=0.03, time_to_first_token_std_dev_s=0.015) as model:
        command = ("run", "--concurrency", "4", *model.flags)
        other = run(tmp_path, *command, "--run", "other", "--target", "20", settings=_SETTINGS, code=code)
        assert other.code == 0, other.err
        shutil.copytree(tmp_path / "runs" / "other.state", elsewhere)
        for harm in _HARMS:
            with start(tmp_path, *command, "--target", str(_TARGET), settings=_SETTINGS, code=code) as program:
                program.wait_for_lines(rng.randint(1, 12))
                program.live_for(rng.uniform(0.0, 0.1))
                assert program.kill().code == -SIGKILL
            check_at_any_moment(read_ledger(tmp_path))
            written |= {each.name for each in state.glob("*.checkpoint")}
            harm(state, elsewhere)
        shutil.copytree(state, saved)
        last = run(tmp_path, *command, "--target", str(_TARGET), settings=_SETTINGS, code=code)
        assert last.code == 0, last.err
        shutil.rmtree(state)
        saved.rename(state)  # those of the killed run, behind the end by now
        more = run(tmp_path, *command, "--target", str(_TARGET + 20), settings=_SETTINGS, code=code)
        assert more.code == 0, more.err
        model.wait_until_idle()
    check(read_ledger(tmp_path), _TARGET + 20)
    assert {"admit.checkpoint", "finish.checkpoint", "producer.checkpoint"} <= written
