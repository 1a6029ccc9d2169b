"""Durations in the notation of llm-d-inference-sim: 250ms, 2s, 1m."""

import re

from service.errors import ConfigurationError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}


def seconds(text: str) -> float:
    """Parse a duration into seconds; a number without a unit is in seconds.

    Raises:
        ConfigurationError: the text is not a duration.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ConfigurationError(f"expected a duration such as 250ms, 2s or 1m, got {text!r}")
    return float(match[1]) * _SECONDS[match[2]]


def duration(value_s: float) -> str:
    """Format a number of seconds as a duration, in milliseconds if it is between 0 and 1 second."""
    return f"{value_s:g}s" if value_s >= 1 or not value_s else f"{value_s * 1000:g}ms"
