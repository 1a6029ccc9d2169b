from datetime import UTC, datetime
from random import Random

import pytest

from service.lm.backoff import Backoff, rate_limit_reset_s, retry_after_s, wait_before_retry_s

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def test_the_ceiling_of_the_back_off_doubles_up_to_its_cap() -> None:
    assert [Backoff().ceiling_s(retry) for retry in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_the_back_off_does_not_overflow_after_very_many_retries() -> None:
    assert Backoff().ceiling_s(100_000) == 30


def test_the_back_off_draws_from_nothing_to_its_ceiling() -> None:
    random = Random(1)
    draws = [Backoff().delay_s(3, random) for _ in range(1000)]
    assert 0 <= min(draws) < 0.1
    assert 3.9 < max(draws) <= 4


def test_the_same_random_numbers_give_the_same_waits() -> None:
    assert Backoff().delay_s(2, Random(7)) == Backoff().delay_s(2, Random(7))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "-1"}, 0),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "-1"}, 0),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Sun, 01 Mar 2026 13:00:30 +0100"}, 30),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 -0000"}, 30),
        ({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "Sun, 99 Mar 2026 11:00:00 GMT"}, None),
        ({"retry-after": "3600"}, 3600),
        ({"retry-after": "1e300"}, 86_400),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 86_400),
        ({"retry-after-ms": "0"}, 0),
        ({"retry-after-ms": "0.5"}, 0.0005),
    ],
)
def test_a_server_s_wish_to_wait_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "0"}, None),
        ({"x-ratelimit-reset-requests": "20ms"}, 0.02),
        ({"X-RateLimit-Reset-Requests": "1s"}, 1),
        ({"x-ratelimit-reset-requests": "1m1s"}, 60),
        ({"x-ratelimit-reset-requests": "6m0s"}, 60),
        ({"x-ratelimit-reset-requests": "1h"}, 60),
        ({"x-ratelimit-reset-tokens": "2.5s"}, 2.5),
        ({"x-ratelimit-reset-tokens": "7"}, 7),
        ({"x-ratelimit-reset-tokens": "11.38"}, 11.38),
        ({"x-ratelimit-reset-tokens": "-1"}, 0),
        ({"x-ratelimit-reset-tokens": "soon"}, None),
        ({"x-ratelimit-reset-tokens": "2.5s later"}, None),
        ({"x-ratelimit-reset-tokens": ""}, None),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 30)}, 30),
        ({"X-RateLimit-Reset": str((int(NOW.timestamp()) + 30) * 1000)}, 30),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) - 30)}, 0),
        ({"x-ratelimit-reset-requests": "9s", "x-ratelimit-reset-tokens": "3s"}, 3),
        (
            {
                "x-ratelimit-reset-requests": "9s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "3s",
                "x-ratelimit-remaining-tokens": "100",
            },
            9,
        ),
        (
            {
                "x-ratelimit-reset-requests": "9s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "12s",
                "x-ratelimit-remaining-tokens": "0",
            },
            12,
        ),
    ],
)
def test_limits_that_are_told_say_when_calls_may_pass(headers: dict[str, str], seconds: float | None) -> None:
    assert rate_limit_reset_s(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("backoff_s", "asked_s", "waited_s"),
    [(0.4, None, 0.4), (0.4, 0.0, 0.4), (0.4, -1.0, 0.4), (0.4, 7.0, 7.4), (5.0, 7.0, 7.7), (0.0, 3600.0, 120.0)],
)
def test_a_wish_to_wait_is_granted_to_two_minutes_with_a_spread(
    backoff_s: float, asked_s: float | None, waited_s: float
) -> None:
    assert wait_before_retry_s(backoff_s, asked_s) == pytest.approx(waited_s)
