from collections import Counter
from dataclasses import replace

import pytest

from service.simulator import SimulatorOptions
from service.simulator.fault_injection import Injection
from service.simulator.faults import FAILURES
from tests.simulator.client import PLAIN, PROMPT, connected

pytestmark = pytest.mark.anyio


def drawn(options: SimulatorOptions, requests: int = 2000) -> Counter[str | None]:
    injection = Injection(options.seed)
    return Counter(injection.failure(options, None) for _ in range(requests))


async def test_failures_come_at_their_rate_and_in_the_same_order() -> None:
    options = replace(PLAIN, failure_injection_rate=30, retry_after_s=0.5)
    runs = []
    for _ in range(2):
        async with connected(options) as client:
            runs.append([(await client.complete("Hello")).status for _ in range(200)])
            assert client.simulator.journal.totals.by_failure.total() == 200 - runs[-1].count(200)
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 429, 503}
    assert 0.2 < 1 - runs[0].count(200) / 200 < 0.4


def test_each_type_may_have_its_own_rate() -> None:
    counts = drawn(SimulatorOptions(failure_rates={"rate_limit": 5, "internal_error": 2}))
    assert set(counts) == {None, "rate_limit", "internal_error"}
    assert 0.035 < counts["rate_limit"] / 2000 < 0.065
    assert 0.01 < counts["internal_error"] / 2000 < 0.03


def test_all_types_may_have_ten_percent_each() -> None:
    counts = drawn(SimulatorOptions(failure_rates=dict.fromkeys(FAILURES, 10)))
    assert set(counts) == {None, *FAILURES}
    assert 0.08 < counts[None] / 2000 < 0.16


def test_own_rates_and_the_common_rate_can_be_combined() -> None:
    options = SimulatorOptions(
        failure_rates={"abort": 20}, failure_injection_rate=20, failure_types=("cut", "malformed")
    )
    counts = drawn(options)
    assert set(counts) == {None, "abort", "cut", "malformed"}
    assert 0.6 < counts[None] / 2000 < 0.68


@pytest.mark.parametrize("name", FAILURES)
def test_every_failure_is_forced_by_its_name(name: str) -> None:
    assert Injection(0).failure(SimulatorOptions(), name) == name


@pytest.mark.parametrize(
    ("status", "name"),
    [
        ("400", "invalid_request"),
        ("401", "invalid_api_key"),
        ("402", "payment"),
        ("404", "model_not_found"),
        ("429", "rate_limit"),
        ("500", "internal_error"),
        ("503", "server_error"),
    ],
)
def test_a_failure_is_forced_by_its_status(status: str, name: str) -> None:
    assert Injection(0).failure(SimulatorOptions(), status) == name


async def test_a_header_forces_a_failure() -> None:
    async with connected(replace(PLAIN, retry_after_s=0.5)) as client:
        limited = await client.complete(PROMPT, X_Return_Error="429")
        unknown = await client.complete(PROMPT, X_Return_Error="418")
    assert (limited.status, limited.headers["Retry-After"]) == (429, "0.5")
    assert unknown.status == 400
    assert "429 (rate_limit)" in unknown.body["error"]["message"]
    assert "no_usage" in unknown.body["error"]["message"]


async def test_a_failure_prevented_by_a_limit_is_not_recorded() -> None:
    options = replace(PLAIN, failure_rates={"abort": 100}, requests_per_minute=12)
    async with connected(options) as client:
        for _ in range(2):
            await client.complete(PROMPT)
        entries = list(client.simulator.journal.entries)
    assert [(entry.status, entry.failure) for entry in entries] == [(200, "abort"), (429, None)]
