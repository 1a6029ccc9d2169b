import pytest

from service.errors import ConfigurationError
from service.simulator.durations import duration, seconds
from service.simulator.flags import options_from


def test_failure_types_may_have_their_own_rates() -> None:
    named = {"failure-types": ["rate_limit:5 internal_error:2.5", "cut,abort"]}
    assert options_from(named) == {
        "failure_types": ("cut", "abort"),
        "failure_rates": {"rate_limit": 5.0, "internal_error": 2.5},
    }
    assert options_from({"failure-types": ["cut:1"]}) == {"failure_rates": {"cut": 1.0}}


def test_durations_have_a_unit() -> None:
    texts = ["250ms", "2s", "1.5s", "1m", "0", "3"]
    assert [seconds(text) for text in texts] == [0.25, 2, 1.5, 60, 0, 3]
    assert [duration(seconds(text)) for text in texts] == ["250ms", "2s", "1.5s", "60s", "0s", "3s"]


@pytest.mark.parametrize("text", ["", "1h", "-1s", "s", "1 s"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a duration"):
        seconds(text)
