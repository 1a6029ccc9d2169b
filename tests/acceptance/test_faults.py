"""Each failure of a server at a rate of 10 %: the run reaches its target, no row is lost, and the bill is exact."""

from collections import Counter
from pathlib import Path
from signal import SIGTERM

import pytest

from service.lm.usage import Usage, added
from service.messaging.messages import (
    Answer,
    Call,
    CallsDropped,
    ClassifiedInstruction,
    FailedCall,
    FailedPrompt,
    TaskInstances,
)
from service.selfinstruct.tasks import InstanceReason
from service.simulator.journal import Entry
from tests.acceptance.invariants import check, check_at_any_moment
from tests.acceptance.ledger import Ledger, read_ledger
from tests.acceptance.model import Model, simulated
from tests.acceptance.program import run, start

pytestmark = pytest.mark.timeout(120)

PASSING = (
    "rate_limit",
    "server_error",
    "internal_error",
    "timeout",
    "disconnect",
    "abort",
    "null_content",
    "empty_choices",
    "error_in_200",
    "malformed",
    "cut",
)
GOOD = ("length", "no_usage", "reasoning_only")
FATAL_FOR_ONE_CALL = ("context_length", "invalid_request")
_TARGET = 60
_MOST_UNREADABLE = 3
# If calls time out, an answer may arrive too late to be read, so the server's bill is the larger one. The timeout is
# short, but far longer than a busy machine delays a ready answer: `duration_ms` does not include such a delay.
_IMPATIENT = {"LM_TIMEOUT_S": "3"}


@pytest.mark.parametrize("failure", [*PASSING, *GOOD, *FATAL_FOR_ONE_CALL])
def test_one_call_in_ten_fails(failure: str, tmp_path: Path) -> None:
    ledger, model = run_with(tmp_path, {failure: 10.0})
    check_bill(ledger, model, impatient=failure == "timeout")
    if failure == "reasoning_only":  # three such answers in a row end a call
        assert all(each.spent is None or each.spent.attempts >= _MOST_UNREADABLE for each in given_up(ledger))
    elif failure not in FATAL_FOR_ONE_CALL:
        assert not given_up(ledger)


def test_everything_fails_together(tmp_path: Path) -> None:
    ledger, model = run_with(tmp_path, dict.fromkeys((*PASSING, *GOOD, *FATAL_FOR_ONE_CALL), 3.0), LM_ATTEMPTS="30")
    check_bill(ledger, model, impatient=True)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        ("invalid_api_key", "Check the API key"),
        ("model_not_found", "answered 404"),
        ("quota", "answered 429"),
        ("payment", "answered 402"),
    ],
)
def test_no_call_is_made_after_a_refusal_until_the_key_changes(failure: str, said: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("the-first-key")
    settings = {"LM_API_KEY_FILE": str(key)}
    with simulated(seed=4, time_to_first_token_s=0.02) as model:
        flags = ("run", *model.flags, "--target", str(_TARGET), "--concurrency", "8")
        with start(tmp_path, *flags, settings=settings) as program:
            program.wait_for_lines(10)
            model.reconfigure(failure_rates={failure: 100.0})
            program.wait_for_word("lm.closed")
            burst = len(model.wait_until_quiet(1.0))
            program.live_for(1.5)
            assert len(model.requests()) == burst
            assert sum(entry.failure == failure for entry in model.requests()) <= 8
            model.reconfigure(failure_rates={})
            key.write_text("the-second-key")
            ended = program.end()
    assert ended.code == 0, ended.err
    closed = next(line for line in ended.err.splitlines() if "lm.closed" in line)
    assert said in closed
    assert "lm.opened" in ended.err
    assert "-key" not in ended.err
    ledger = read_ledger(tmp_path)
    check(ledger, _TARGET)
    assert not given_up(ledger)


def test_a_key_that_never_worked_ends_the_run_at_once(tmp_path: Path) -> None:
    with simulated(api_keys=("another",)) as model:
        ended = run(tmp_path, "run", *model.flags, "--concurrency", "8", settings={"LM_API_KEY": "wrong-key"})
        assert len(model.requests()) <= 8
    assert ended.code == 5
    assert "Check the API key" in ended.err
    assert "wrong-key" not in ended.err


def test_a_stop_bills_interrupted_calls_and_makes_no_new_ones(tmp_path: Path) -> None:
    with simulated(seed=5, failure_rates={"null_content": 70.0}, time_to_first_token_s=0.05) as model:
        flags = ("run", *model.flags, "--target", "1000", "--concurrency", "8")
        with start(tmp_path, *flags) as program:
            program.wait_for_lines(5)
            program.send(SIGTERM)
            program.wait_for_word("SIGTERM")
            after = len(model.requests())
            ended = program.end(10.0)
        assert ended.code == 128 + SIGTERM, ended.err
        assert len(model.wait_until_idle()) <= after + 2 * 8
    ledger = read_ledger(tmp_path)
    check_at_any_moment(ledger)
    check_bill(ledger, model)


def run_with(folder: Path, rates: dict[str, float], **settings: str) -> tuple[Ledger, Model]:
    """Run to the target on a server with these failure rates, and check that nothing is missing."""
    with simulated(seed=7, failure_rates=rates, retry_after_s=0.1, timeout_duration_s=30.0) as model:
        flags = ("run", *model.flags, "--target", str(_TARGET), "--concurrency", "8")
        ended = run(folder, *flags, settings=(_IMPATIENT if "timeout" in rates else {}) | settings)
        assert ended.code == 0, ended.err
        model.wait_until_idle()
    ledger = read_ledger(folder)
    check(ledger, _TARGET)
    return ledger, model


def check_bill(ledger: Ledger, model: Model, *, impatient: bool = False) -> None:
    """Check that the log has the usage that the server reported, and that no cut answer was asked for again."""
    totals, requests = model.simulator.journal.totals, list(model.simulator.journal.entries)
    used = recorded_usage(ledger)
    late = [entry for entry in requests if entry.duration_ms >= 400] if impatient else []
    assert used.prompt_tokens + sum(entry.prompt_tokens for entry in late) >= totals.prompt_tokens
    assert used.prompt_tokens <= totals.prompt_tokens
    if not late:
        assert used.completion_tokens == totals.completion_tokens
        assert used.reasoning_tokens == totals.reasoning_tokens
    untold = sum(entry.failure == "no_usage" for entry in requests)
    assert untold - len(late) <= uncounted(ledger) <= untold
    assert not asked_again_after_length(requests)


def recorded_usage(ledger: Ledger) -> Usage:
    total: Usage | None = None
    for call in calls(ledger):
        total = added(total, added(call.usage, call.wasted))
    for failed in failed_calls(ledger):
        total = added(total, failed.wasted)
    for dropped in ledger.all(CallsDropped):
        total = added(total, dropped.spent.wasted)
    return total or Usage(0, 0)


def calls(ledger: Ledger) -> list[Call]:
    later = [
        *(each.call for each in ledger.all(ClassifiedInstruction)),
        *(each.call for each in ledger.all(TaskInstances)),
    ]
    return [*(each.call for each in ledger.all(Answer)), *(call for call in later if call is not None)]


def failed_calls(ledger: Ledger) -> list[FailedCall]:
    failed = [each.spent for each in ledger.all(FailedPrompt)]
    failed += [each.spent for each in ledger.all(ClassifiedInstruction)]
    failed += [each.spent for each in ledger.all(TaskInstances)]
    return [each for each in failed if each is not None]


def uncounted(ledger: Ledger) -> int:
    return sum(call.usage is None for call in calls(ledger))


def given_up(ledger: Ledger) -> list[FailedPrompt | TaskInstances]:
    lost = [each for each in ledger.all(TaskInstances) if each.rejection is InstanceReason.CALL_FAILED]
    return [*ledger.all(FailedPrompt), *lost]


def asked_again_after_length(requests: list[Entry]) -> Counter[str]:
    """Count the prompts that were asked again after an answer to them had been cut by its length.

    An answer that was cut during thinking does not count: its prompt is asked again with more room.
    """
    cut: set[str] = set()
    again: Counter[str] = Counter()
    for entry in sorted(requests, key=lambda entry: entry.seq):
        if entry.prompt_sha256 in cut:
            again[entry.prompt_sha256] += 1
        was_cut = entry.finish_reason == "length" and entry.failure != "reasoning_only"
        if was_cut and entry.prompt_sha256 is not None:
            cut.add(entry.prompt_sha256)
    return again


def test_the_check_for_repeated_prompts_finds_them() -> None:
    first = Entry(1, "/", 0.0, prompt_sha256="a", finish_reason="length")
    assert asked_again_after_length([first, Entry(2, "/", 0.0, prompt_sha256="b")]) == {}
    assert asked_again_after_length([first, Entry(2, "/", 0.0, prompt_sha256="a")]) == {"a": 1}
