"""When to try again: back-off with full jitter, and what a server asks for in its headers.

Pure: time and randomness come in as arguments, and waiting is the caller's.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random

# From here on the cap has long been reached, and a float power may overflow.
_LARGEST_EXPONENT = 64


@dataclass(frozen=True, slots=True)
class Backoff:
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


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that a server asks to wait, never negative; None where it does not ask or not legibly.

    `retry-after-ms` (Azure, OpenAI) is finer than `Retry-After` and wins; `Retry-After` is a number of seconds or an
    HTTP date, which is compared with `now` (with a time zone). `headers` finds names in lower case, whatever was sent.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    after = headers.get("retry-after")
    seconds = _number(after)
    if seconds is not None:
        return max(0.0, seconds)
    moment = _http_date(after)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


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
