"""A model's server that goes away costs nothing but time."""

from contextlib import ExitStack
from pathlib import Path

from service.messages import FailedPrompt, TaskInstances
from service.selfinstruct.tasks import InstanceReason
from tests.acceptance.invariants import check
from tests.acceptance.ledger import read_ledger
from tests.acceptance.model import simulated
from tests.acceptance.program import run, start


def test_a_run_whose_server_goes_away_stops_and_later_loses_nothing(tmp_path: Path) -> None:
    with ExitStack() as stack:
        with simulated(time_to_first_token_s=0.05) as model:
            flags = ("run", *model.flags, "--target", "120", "--concurrency", "8")
            program = stack.enter_context(start(tmp_path, *flags, settings={"LM_ATTEMPTS": "3"}))
            program.wait_for_lines(20)
        ended = program.end()
    assert ended.code == 5
    assert "has answered no call lately" in ended.err
    with simulated() as model:
        again = run(tmp_path, "run", *model.flags)
    assert again.code == 0, again.err
    ledger = read_ledger(tmp_path)
    check(ledger, 120)
    assert not ledger.all(FailedPrompt)
    assert not [each for each in ledger.all(TaskInstances) if each.rejection is InstanceReason.CALL_FAILED]
