"""What `--threshold` takes: one ROUGE-L threshold, or a range of them."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from service.errors import ConfigurationError

MOST = 50
_STEP = "0.05"
_BETWEEN, _BEFORE_STEP = "..", ":"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """One threshold, or those of a range from low to high, 0 … 1 each; at most `MOST`."""

    values: tuple[float, ...]
    is_range: bool

    @classmethod
    def parse(cls, text: str) -> "Thresholds":
        """Return what `0.6`, `0.5..0.9` or `0.5..0.9:0.1` says; a range ends where one more step would leave it.

        Raises:
            ConfigurationError: it says no thresholds, or too many.
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
            raise _refused(text, f"it holds more than {MOST}; take a larger step")
        return cls(tuple(float(low + number * width) for number in range(int((high - low) / width) + 1)), is_range=True)


def _share(number: str, text: str) -> Decimal:
    """Return a number of the text, exactly as it is written: sums of steps are then the numbers that one would type."""
    try:
        value = Decimal(number)
    except InvalidOperation:
        raise _refused(text, f"{number!r} is no number") from None
    if not value.is_finite() or not 0 <= value <= 1:
        raise _refused(text, f"{number} is not in 0 … 1")
    return value


def _refused(text: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"--threshold: expected a number from 0 to 1 (0.6), or a range of them, with a step if it is not {_STEP} "
        f"(0.5..0.9, 0.5..0.9:0.1), got {text!r}: {why}"
    )
