"""Durations as llm-d-inference-sim writes them: 250ms, 2s, 1m."""

import re

from service.errors import ConfigurationError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}


def seconds(text: str) -> float:
    """Return how many seconds a duration is; a number alone is one of seconds.

    Raises:
        ConfigurationError: it is not a duration.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ConfigurationError(f"expected a duration such as 250ms, 2s or 1m, got {text!r}")
    return float(match[1]) * _SECONDS[match[2]]


def duration(value_s: float) -> str:
    """Return so many seconds as a duration."""
    return f"{value_s:g}s" if value_s >= 1 or not value_s else f"{value_s * 1000:g}ms"
