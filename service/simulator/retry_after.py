"""Headers by which servers ask clients to wait before a retry."""

import math
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from enum import StrEnum


class RetryAfterForm(StrEnum):
    """The form of the header in a refusal; some gateways send zero or a negative number, whatever the wait."""

    SECONDS = "seconds"
    MS = "ms"
    DATE = "date"
    ZERO = "zero"
    NEGATIVE = "negative"
    NONE = "none"


def retry_after(form: RetryAfterForm, wait_s: float) -> dict[str, str]:
    """Return the header for a wait of `wait_s` seconds, rounded up to the resolution of the form; empty for `NONE`."""
    return _FORMS[form](wait_s)


_FORMS: Mapping[RetryAfterForm, Callable[[float], dict[str, str]]] = {
    RetryAfterForm.SECONDS: lambda wait_s: {"Retry-After": f"{_whole_ms(wait_s) / 1000:g}"},
    RetryAfterForm.MS: lambda wait_s: {"retry-after-ms": f"{_whole_ms(wait_s)}"},
    RetryAfterForm.DATE: lambda wait_s: {"Retry-After": formatdate(math.ceil(time.time() + wait_s), usegmt=True)},
    RetryAfterForm.ZERO: lambda _: {"Retry-After": "0"},
    RetryAfterForm.NEGATIVE: lambda _: {"Retry-After": "-1"},
    RetryAfterForm.NONE: lambda _: {},
}


def _whole_ms(wait_s: float) -> int:
    # `round` removes float errors before `ceil`: 0.5 s times 1,000 may be slightly more than 500.
    return math.ceil(round(wait_s * 1000, 6))
