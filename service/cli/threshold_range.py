"""The value of `--threshold`: one ROUGE-L threshold, or a range of thresholds."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from service.errors import ConfigurationError

MOST = 50
_STEP = "0.05"
_BETWEEN, _BEFORE_STEP = "..", ":"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """One threshold, or the thresholds of a range from low to high; at most `MOST`, each in 0 … 1."""

    values: tuple[float, ...]
    is_range: bool

    @classmethod
    def parse(cls, text: str) -> "Thresholds":
        """Return the thresholds of `0.6`, `0.5..0.9` or `0.5..0.9:0.1`; the last one is at most the upper bound.

        Raises:
            ConfigurationError: the text is no threshold and no range, or the range has more than `MOST` thresholds.
        """
        if _BETWEEN not in text:
            return cls((float(_share(text, text)),), is_range=False)
        first, _, rest = text.partition(_BETWEEN)
        last, _, step = rest.partition(_BEFORE_STEP)
        low, high = _share(first, text), _share(last, text)
        width = _share(step if _BEFORE_STEP in rest else _STEP, text)
        if low > high:
            raise _refused(text, "it ends before it begins")
        if width == 0:
            raise _refused(text, "its step is 0")
        if high - low >= width * MOST:
            raise _refused(text, f"it has more than {MOST} thresholds; use a larger step")
        return cls(tuple(float(low + number * width) for number in range(int((high - low) / width) + 1)), is_range=True)


def _share(number: str, text: str) -> Decimal:
    """Return a number as an exact decimal, so that sums of steps have no rounding errors."""
    try:
        value = Decimal(number)
    except InvalidOperation:
        raise _refused(text, f"{number!r} is no number") from None
    if not value.is_finite() or not 0 <= value <= 1:
        raise _refused(text, f"{number} is not in 0 … 1")
    return value


def _refused(text: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"--threshold: expected a number from 0 to 1 (0.6), a range (0.5..0.9, in steps of {_STEP}) "
        f"or a range with a step (0.5..0.9:0.1), got {text!r}: {why}"
    )
