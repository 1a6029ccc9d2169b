"""The choice of a format, and of gzip, by the headers `Accept` and `Accept-Encoding` (RFC 9110, section 12.5)."""

from collections.abc import Sequence

_MOST = 50


def preferred(accept: str | None, offered: Sequence[str]) -> str | None:
    """Return the media type that a client likes best, the first of equals; `None` if it accepts none.

    A client that says nothing accepts everything. A range that names a type more exactly wins over another one.
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = [_range(part) for part in accept.split(",")[:_MOST]]
    weights = [(_weight(kind, ranges), -place, kind) for place, kind in enumerate(offered)]
    weight, _, kind = max(weights)
    return kind if weight > 0 else None


def _range(text: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            return name, _number(value)
    return name, 1.0


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if 0 <= number <= 1 else 0.0


def _weight(kind: str, ranges: Sequence[tuple[str, float]]) -> float:
    for name in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        if found := [weight for each, weight in ranges if each == name]:
            return max(found)
    return 0.0


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Return whether a client asks for gzip; nothing else is said by a header that is missing."""
    ranges = dict(_range(part) for part in (accept_encoding or "").split(",")[:_MOST])
    return ranges.get("gzip", 0.0) > 0
