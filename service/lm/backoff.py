"""The wait before a retry: back-off with full jitter, and the headers of servers.

Pure: time and randomness come in as arguments, and waiting is the caller's.
"""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random

from msgspec import Struct

# From here on the cap has long been reached, and a float power may overflow.
_LARGEST_EXPONENT = 64
_LONGEST_ASKED_WAIT_S = 120.0

_LONGEST_S = 86_400.0
_RESET = "x-ratelimit-reset"
_REMAINING = "x-ratelimit-remaining"
# These headers say when a limit is whole again, which is later than when a call would pass.
_LONGEST_RESET_S = 60.0
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhd]))+")
_PART = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|[smhd])")
# A number this large is a time, not a wait: seconds since 1970, or milliseconds.
_EPOCH_S, _EPOCH_MS = 1e9, 1e12


class Backoff(Struct, frozen=True):
    """Exponential back-off with full jitter: a uniform draw between nothing and a ceiling that grows up to `cap_s`."""

    base_s: float = 0.5
    factor: float = 2.0
    cap_s: float = 30.0

    def ceiling_s(self, retry: int) -> float:
        """Return the longest wait before retry number `retry` (the first is 0)."""
        return min(self.cap_s, self.base_s * self.factor ** min(retry, _LARGEST_EXPONENT))

    def delay_s(self, retry: int, random: Random) -> float:
        """Draw the wait before retry number `retry` (the first is 0)."""
        return random.uniform(0.0, self.ceiling_s(retry))


def wait_before_retry_s(backoff_s: float, asked_s: float | None) -> float:
    """Return the wait: the time that the server asks for, up to two minutes, and a little longer; else the back-off.

    The little more keeps calls that got the same header from returning together. A header of 0 is ignored.
    """
    if asked_s is None or asked_s <= 0:
        return backoff_s
    return min(asked_s, _LONGEST_ASKED_WAIT_S) + min(backoff_s, asked_s / 10)


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that a server asks to wait, 0 to a day; None if the header is missing or unreadable.

    `retry-after-ms` (Azure, OpenAI) is finer than `Retry-After` and wins; `Retry-After` is a number of seconds or an
    HTTP date, which is compared with `now` (with a time zone). `headers` finds names in lower case, whatever was sent.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return _wait(milliseconds / 1000)
    after = headers.get("retry-after")
    seconds = _number(after)
    if seconds is not None:
        return _wait(seconds)
    moment = _http_date(after)
    return None if moment is None else _wait((moment - now).total_seconds())


def rate_limit_reset_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds, 0 to 60, until the limits in `x-ratelimit-…` headers let calls pass; None without one.

    The latest of the exhausted limits counts, since all must be open; without one, the earliest. A reset is a number
    of seconds, a duration such as `6m0s` or `20ms`, or a moment (seconds or milliseconds since 1970).
    """
    told = {name.lower(): value for name, value in headers.items()}
    resets = dict(_resets(told, now))
    used_up = [wait for limit, wait in resets.items() if _number(told.get(_REMAINING + limit)) == 0]
    if not resets:
        return None
    return min(_LONGEST_RESET_S, max(used_up) if used_up else min(resets.values()))


def _resets(told: Mapping[str, str], now: datetime) -> Iterator[tuple[str, float]]:
    """Yield (limit, seconds until it is whole again); limits are `-requests`, `-tokens`, …."""
    for name, value in told.items():
        seconds = _reset_s(value, now) if name.startswith(_RESET) else None
        if seconds is not None:
            yield name.removeprefix(_RESET), _wait(seconds)


def _reset_s(text: str, now: datetime) -> float | None:
    number = _number(text)
    if number is None:
        return _duration_s(text.strip())
    if number >= _EPOCH_MS:
        return number / 1000 - now.timestamp()
    return number - now.timestamp() if number >= _EPOCH_S else number


def _duration_s(text: str) -> float | None:
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(part["number"]) * _UNITS_S[part["unit"]] for part in _PART.finditer(text))


def _wait(seconds: float) -> float:
    return min(_LONGEST_S, max(0.0, seconds))


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _http_date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
