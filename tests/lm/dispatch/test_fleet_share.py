"""Limits per minute, and the division of limits among a fleet."""

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.lm.dispatch.fleet_share import EVERYTHING, NOTHING, FleetLimits, FleetShare, Leases
from service.lm.dispatch.token_bucket import TokenBucket


@given(limit=st.integers(0, 500), total=st.integers(1, 60), owners=st.integers(1, 8))
def test_the_parts_of_a_fleet_add_up_to_the_limit(limit: int, total: int, owners: int) -> None:
    shares = [Leases(frozenset(range(number, total, owners)), total) for number in range(owners)]
    assert sum(share.units(limit) for share in shares) == limit
    assert sum(share.part for share in shares) == pytest.approx(1.0)


@given(st.integers(1, 12), st.integers(0, 200), st.integers(1, 130))
def test_neighbouring_leases_have_an_equal_part(owners: int, more: int, total: int) -> None:
    """A process whose role nobody else has must not be without a unit."""
    assume(owners <= total)
    limit = owners + more
    bounds = [number * total // owners for number in range(owners + 1)]
    shares = [Leases(frozenset(range(*pair)), total) for pair in pairwise(bounds)]
    units = [share.units(limit) for share in shares]
    assert sum(units) == limit
    assert all(unit >= limit * len(share.owned) // total for unit, share in zip(units, shares, strict=True))


def test_no_lease_is_no_call_and_all_leases_are_the_whole_limit() -> None:
    assert (NOTHING.units(64), NOTHING.part) == (0, 0.0)
    assert (EVERYTHING.units(64), EVERYTHING.part) == (64, 1.0)


def calls_taken(share: FleetShare, seconds: int, tokens: int = 100) -> int:
    """Take all calls that the rates allow, in simulated time, and return their number."""
    taken, now_s = 0, 0.0
    while now_s < seconds:
        if share.opens_in_s(now_s) <= 0:
            share.used(tokens, share.begin())
            taken += 1
        else:
            now_s += 0.01
    return taken


@pytest.mark.parametrize("rpm", [30.0, 600.0, 6_000.0])
def test_requests_a_minute_are_kept_to_evenly(rpm: float) -> None:
    share = FleetShare()
    share.update(0.0, FleetLimits(rpm=rpm))
    assert calls_taken(share, 120) == pytest.approx(2 * rpm, rel=0.05)


def test_tokens_a_minute_are_kept_to_by_what_calls_really_take() -> None:
    share = FleetShare()
    share.update(0.0, FleetLimits(tpm=60_000.0))
    assert calls_taken(share, 120, tokens=300) * 300 == pytest.approx(120_000, rel=0.05)


def test_a_part_of_the_fleet_gets_its_part_of_the_rate() -> None:
    share = FleetShare()
    share.update(0.0, FleetLimits(rpm=600.0), Leases(frozenset({0, 1, 2}), 12))
    assert calls_taken(share, 60) == pytest.approx(150, rel=0.05)


def test_without_leases_nothing_begins_until_there_are_some() -> None:
    share = FleetShare()
    share.update(0.0, FleetLimits(max_in_flight=8, rpm=60.0), NOTHING)
    assert share.places == 0
    assert share.opens_in_s(100.0) == math.inf
    share.update(100.0, leases=EVERYTHING)
    assert share.places == 8
    assert share.opens_in_s(102.0) == 0


def test_a_limit_that_is_lifted_limits_no_more() -> None:
    share = FleetShare()
    share.update(0.0, FleetLimits(1, 1.0, 1.0))
    share.update(0.0, FleetLimits())
    assert (share.places, share.opens_in_s(0.0)) == (math.inf, 0.0)


def test_what_was_taken_too_much_is_waited_for() -> None:
    bucket = TokenBucket(60.0, 0.0)
    bucket.take(3.0)
    assert bucket.opens_in_s(0.0) == pytest.approx(4.0)
    assert bucket.opens_in_s(4.0) == 0


def test_an_idle_bucket_saves_up_no_more_than_a_second() -> None:
    bucket = TokenBucket(600.0, 0.0)
    bucket.refill(1_000.0)
    assert bucket.level == 10.0
