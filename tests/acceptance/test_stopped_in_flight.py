"""A run of two thousand calls with up to 128 in flight, stopped half-way and started again."""

from collections import Counter
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

import pytest

from tests.acceptance.invariants import check
from tests.acceptance.ledger import read_ledger
from tests.acceptance.model import Model, eventually, simulated
from tests.acceptance.program import DEADLINE_S, run, start

pytestmark = [pytest.mark.kill, pytest.mark.timeout(400)]

_CALLS = 2_000
_IN_FLIGHT = 128
_TARGET = 850


@pytest.mark.parametrize(("signal", "most_paid_twice"), [(SIGKILL, _IN_FLIGHT * 5 // 4), (SIGTERM, 0)])
def test_a_stop_loses_nothing_and_repeats_few_calls(signal: Signals, most_paid_twice: int, tmp_path: Path) -> None:
    with simulated(seed=12, time_to_first_token_s=1.5, journal_size=2 * _CALLS) as model:
        command = ("run", "--target", str(_TARGET), "--concurrency", str(_IN_FLIGHT), *model.flags)
        with start(tmp_path, *command) as program:
            eventually(lambda: len(model.requests()) >= _CALLS // 2, 2 * DEADLINE_S)
            model.wait_until_busy(_IN_FLIGHT * 3 // 4)
            program.send(signal)
            stopped = program.end(2 * DEADLINE_S)
        assert stopped.code == (-SIGKILL if signal is SIGKILL else 128 + SIGTERM)
        model.wait_until_idle()
        again = run(tmp_path, *command)
        assert again.code == 0, again.err
        asked = _asked(model)
    ledger = read_ledger(tmp_path)
    check(ledger, _TARGET)
    assert asked.keys() >= set(ledger.completed_prompts())
    twice = asked.total() - len(asked)
    assert twice <= most_paid_twice, f"{twice} calls were made twice"


def _asked(model: Model) -> Counter[str]:
    return Counter(each.prompt_sha256 for each in model.wait_until_idle() if each.prompt_sha256 is not None)
