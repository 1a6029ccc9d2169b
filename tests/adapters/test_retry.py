from datetime import UTC, datetime
from random import Random

import pytest

from service.retry import Backoff, retry_after_s

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
    ],
)
def test_a_server_s_wish_to_wait_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, NOW) == seconds
