"""A budget ends a run in order, and the bill equals the server's count."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.acceptance.invariants import check_at_any_moment
from tests.acceptance.ledger import read_ledger
from tests.acceptance.model import simulated
from tests.acceptance.program import run

_PRICES = {"version": "2026-11", "models": {"seedstream-simulator": {"prompt": 1.0, "completion": 2.0}}}
_SETTINGS = {"PRICES": orjson.dumps(_PRICES).decode()}


def test_a_budget_ends_the_run_and_a_larger_one_resumes_it(tmp_path: Path) -> None:
    with simulated(seed=9, failure_rates={"abort": 5.0}) as model:
        command = ("run", *model.flags, "--target", "10000", "--concurrency", "8")
        ended = run(tmp_path, *command, "--budget", "0.1", settings=_SETTINGS)
        assert ended.code == 6, ended.err
        assert "budget" in ended.err
        first = bill(tmp_path)
        assert 0.06 <= first["cost_usd"] <= 0.1
        assert first["prices"] == ["2026-11"]
        again = run(tmp_path, *command, "--budget", "0.1", settings=_SETTINGS)
        assert (again.code, bill(tmp_path)["cost_usd"]) == (6, first["cost_usd"])
        more = run(tmp_path, *command, "--budget", "0.2", settings=_SETTINGS)
        assert more.code == 6, more.err
        totals = model.simulator.journal.totals
    last = bill(tmp_path)
    assert 0.15 <= last["cost_usd"] <= 0.2
    assert last["cost_usd"] == pytest.approx((totals.prompt_tokens + 2 * totals.completion_tokens) / 1e6)
    check_at_any_moment(read_ledger(tmp_path))


def test_a_run_that_became_too_expensive_ends_and_says_so(tmp_path: Path) -> None:
    with simulated(seed=9) as model:
        command = ("run", *model.flags, "--target", "10000", "--concurrency", "32", "--max-marginal-cost", "0.0001")
        ended = run(tmp_path, *command, settings=_SETTINGS)
    assert ended.code == 7, ended.err
    assert "too expensive" in ended.err
    assert bill(tmp_path)["marginal_usd"] > 0.0001


def test_a_budget_without_a_price_is_refused_before_any_call(tmp_path: Path) -> None:
    with simulated() as model:
        ended = run(tmp_path, "run", *model.flags, "--budget", "1")
        assert not model.requests()
    assert ended.code == 2
    assert "a budget needs prices" in ended.err


def test_a_resumed_run_keeps_its_budget_and_its_price(tmp_path: Path) -> None:
    with simulated() as model:
        command = ("run", *model.flags, "--target")
        first = run(tmp_path, *command, "5", "--budget", "9", "--price-prompt", "1", "--price-completion", "2")
        assert first.code == 0, first.err
        again = run(tmp_path, *command, "10")
        assert again.code == 0, again.err
        assert "priced as before: $1 and $2 per million tokens" in again.err
        totals = model.simulator.journal.totals
    cost = bill(tmp_path)
    assert cost["cost_usd"] == pytest.approx((totals.prompt_tokens + 2 * totals.completion_tokens) / 1e6)


def bill(folder: Path) -> dict[str, Any]:
    shown = run(folder, "cost", "--json")
    assert shown.code == 0, shown.err
    told: dict[str, Any] = orjson.loads(shown.out)
    return told
