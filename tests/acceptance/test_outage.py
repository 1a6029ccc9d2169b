"""A server that goes away costs nothing but time."""

from contextlib import ExitStack
from pathlib import Path

from service.messaging.messages import FailedPrompt, TaskInstances
from service.selfinstruct.tasks import InstanceReason
from tests.acceptance.invariants import check
from tests.acceptance.ledger import read_ledger
from tests.acceptance.model import simulated
from tests.acceptance.program import run, start

_TARGET = 120


def test_a_lasting_outage_ends_the_run_and_nothing_is_lost(tmp_path: Path) -> None:
    with ExitStack() as stack:
        with simulated(time_to_first_token_s=0.05) as model:
            flags = ("run", *model.flags, "--target", str(_TARGET), "--concurrency", "8")
            program = stack.enter_context(start(tmp_path, *flags, settings={"LM_GONE_S": "3"}))
            program.wait_for_lines(20)
        ended = program.end()
    assert ended.code == 5
    assert "has answered no call lately" in ended.err
    # There is one line for each closing: while the server goes down, a trial call may still be answered in between.
    assert ended.err.count("lm.closed") == 1 + ended.err.count("lm.opened")
    with simulated() as model:
        again = run(tmp_path, "run", *model.flags)
    assert again.code == 0, again.err
    check_nothing_lost(tmp_path)


def test_a_run_resumes_by_itself_after_an_outage(tmp_path: Path) -> None:
    with simulated(time_to_first_token_s=0.05) as model:
        flags = ("run", *model.flags, "--target", str(_TARGET), "--concurrency", "8")
        with start(tmp_path, *flags) as program:
            program.wait_for_lines(20)
            model.reconfigure(failure_rates={"disconnect": 100.0})
            program.wait_for_word("lm.closed")
            model.reconfigure(failure_rates={})
            program.wait_for_word("lm.opened")
            ended = program.end()
    assert ended.code == 0, ended.err
    check_nothing_lost(tmp_path)


def check_nothing_lost(folder: Path) -> None:
    ledger = read_ledger(folder)
    check(ledger, _TARGET)
    assert not ledger.all(FailedPrompt)
    assert not [each for each in ledger.all(TaskInstances) if each.rejection is InstanceReason.CALL_FAILED]
