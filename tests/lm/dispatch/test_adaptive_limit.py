"""An adaptive limit for servers that refuse under load, servers that refuse at random, and servers that do both."""

import pytest

from service.lm.dispatch.adaptive_limit import AdaptiveLimit
from tests.lm.dispatch.servers import Crowd, Server, allowing, both, refusing

SEEDS = range(4)
LATENCY_S = 0.5


def crowd(server: Server, seed: int = 0, ceiling: int = 128, seconds: float = 60.0) -> Crowd:
    limit = AdaptiveLimit(ceiling, 0.0)
    before = Crowd(limit, server, in_work=ceiling * 5 // 4, seed=seed)
    before.run(seconds)
    return before


def test_a_server_without_a_limit_is_fully_used_after_200_ms() -> None:
    limit = AdaptiveLimit(128, 0.0)
    assert limit.at(0.0) == 32
    assert limit.at(0.2) == 128
    assert crowd(refusing(0.0)).rate(0.0) >= 0.98 * 128 / LATENCY_S


@pytest.mark.parametrize("ceiling", [128, 1_000])
def test_a_server_that_allows_64_is_busy_and_rarely_refuses(ceiling: int) -> None:
    before = crowd(allowing(64), ceiling=ceiling)
    assert before.rate(0.0) >= 0.9 * 64 / LATENCY_S
    assert before.refused_share() < 0.02
    assert before.limit.settled in range(60, 67)


@pytest.mark.parametrize(("ceiling", "after_s"), [(128, 0.2), (1_000, 0.5), (10_000, 0.5)])
def test_any_limit_begins_small_and_is_reached_soon(ceiling: int, after_s: float) -> None:
    limit = AdaptiveLimit(ceiling, 7.0)
    assert limit.at(7.0) == 32
    assert limit.at(7.0 + after_s / 4) < ceiling / 2
    assert limit.at(7.0 + after_s) == ceiling == limit.settled


def test_a_burst_of_refusals_cuts_once() -> None:
    limit = AdaptiveLimit(128, 0.0)
    sent = [limit.sent(level, 1.0) for level in range(1, 129)]
    for each in sent[64:]:
        limit.refused(each, 128, 1.01)
    assert limit.cuts == 1
    assert limit.settled == 96


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("share", [0.01, 0.02, 0.05, 0.07, 0.1])
def test_a_server_that_refuses_by_habit_is_not_spared(share: float, seed: int) -> None:
    before = crowd(refusing(share), seed, seconds=30.0)
    assert before.rate(0.0) >= 0.85 * 128 / LATENCY_S


@pytest.mark.parametrize("seed", SEEDS)
def test_load_is_told_from_habit_where_both_are_there(seed: int) -> None:
    before = crowd(both(refusing(0.05), allowing(64)), seed)
    assert before.rate(30.0) >= 0.85 * 64 / LATENCY_S
    assert before.refused_share(30.0) < 0.12


@pytest.mark.parametrize("seed", SEEDS)
def test_a_server_that_loses_half_of_its_capacity_gets_half(seed: int) -> None:
    before = crowd(both(refusing(0.02), allowing(lambda now_s: 64 if now_s < 30 else 32)), seed)
    assert before.limit.settled <= 40
    assert before.rate(45.0) >= 0.8 * 32 / LATENCY_S


def test_a_server_that_gains_capacity_gets_more_after_a_while() -> None:
    before = crowd(allowing(lambda now_s: 64 if now_s < 30 else 128), seconds=120.0)
    assert before.rate(90.0) >= 0.9 * 128 / LATENCY_S


def test_a_server_that_refuses_all_ends_at_one_call_at_a_time() -> None:
    before = crowd(refusing(1.0), ceiling=32, seconds=60.0)
    assert before.limit.settled == 1


def slowed(limit: AdaptiveLimit, calls: int, seconds: float) -> None:
    for _ in range(calls):
        limit.took(limit.sent(10, 0.0), "kind", seconds, 100)


def test_a_server_that_slows_down_without_a_word_gets_less() -> None:
    limit = AdaptiveLimit(100, -1.0)
    slowed(limit, 400, seconds=1.0)
    assert limit.settled == 100
    slowed(limit, 100, seconds=4.0)
    assert limit.settled == 75


def test_a_cut_that_does_not_speed_up_the_server_is_undone() -> None:
    limit = AdaptiveLimit(100, -1.0)
    slowed(limit, 400, seconds=1.0)
    slowed(limit, 300, seconds=4.0)
    assert limit.settled == 100
    slowed(limit, 300, seconds=4.0)
    assert limit.settled == 100


def test_answers_of_another_kind_are_not_compared() -> None:
    limit = AdaptiveLimit(100, -1.0)
    slowed(limit, 400, seconds=1.0)
    for _ in range(400):
        limit.took(limit.sent(10, 0.0), "one word", 1.0, 1)
    assert limit.settled == 100
