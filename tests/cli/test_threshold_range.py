import pytest

from service.cli.threshold_range import MOST, Thresholds
from service.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.5..0.9", (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)),
        ("0.5..0.9:0.1", (0.5, 0.6, 0.7, 0.8, 0.9)),
        ("0.5..0.9:0.3", (0.5, 0.8)),
        ("0.7..0.7", (0.7,)),
        ("0..1:1", (0.0, 1.0)),
        ("0.01..0.5:0.01", tuple(number / 100 for number in range(1, 51))),
    ],
)
def test_a_range_holds_the_numbers_that_one_would_type(text: str, values: tuple[float, ...]) -> None:
    assert Thresholds.parse(text) == Thresholds(values, is_range=True)


@pytest.mark.parametrize("text", ["0", "0.7", "1", "1e-3", ".5"])
def test_one_number_is_no_range(text: str) -> None:
    assert Thresholds.parse(text) == Thresholds((float(text),), is_range=False)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0.9..0.5", "ends before it begins"),
        ("0.5..1.5", "1.5 is not in 0 … 1"),
        ("-0.1", "-0.1 is not in 0 … 1"),
        ("-0.1..0.5", "-0.1 is not in 0 … 1"),
        ("nan", "nan is not in 0 … 1"),
        ("nan..0.9", "nan is not in 0 … 1"),
        ("0.5..inf", "inf is not in 0 … 1"),
        ("0.5..0.9:0", "its step is 0"),
        ("0.5..0.9:-0.1", "-0.1 is not in 0 … 1"),
        ("0.5..0.9:1e99999999", "is not in 0 … 1"),
        ("0.5..0.9:1e-99999999", f"more than {MOST}"),
        ("0..0.5:0.01", f"more than {MOST}"),
        ("0.5..0.9:", "'' is no number"),
        ("0.5..", "'' is no number"),
        ("..", "'' is no number"),
        ("0.5...0.9", "'.0.9' is no number"),
        ("a little", "'a little' is no number"),
        ("", "'' is no number"),
    ],
)
def test_what_is_no_threshold_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--threshold: expected a number from 0 to 1 .*, got ") as caught:
        Thresholds.parse(text)
    assert why in str(caught.value)
