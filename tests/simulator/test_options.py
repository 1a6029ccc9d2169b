from dataclasses import replace

import pytest

from service.errors import ConfigurationError
from service.simulator import Simulator, SimulatorOptions


@pytest.mark.parametrize(
    "options",
    [
        {"near_duplicate_rate": 1.1},
        {"failure_injection_rate": 101.0},
        {"max_num_seqs": -1},
        {"tokens_per_minute": -1},
        {"time_factor_under_load": 0.5},
        {"retry_after_s": float("nan")},
        {"tasks_per_reply": (5, 4)},
    ],
)
def test_values_without_meaning_are_refused_by_name(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        replace(SimulatorOptions(), **options)  # type: ignore[arg-type]


def test_a_rate_of_a_failure_is_in_percent() -> None:
    with pytest.raises(ConfigurationError, match="failure_rates of abort is 101"):
        SimulatorOptions(failure_rates={"abort": 101})


def test_a_time_factor_under_load_needs_a_capacity() -> None:
    with pytest.raises(ConfigurationError, match="needs max_num_seqs"):
        SimulatorOptions(time_factor_under_load=2)


def test_keys_are_not_shown() -> None:
    assert "secret" not in repr(SimulatorOptions(api_keys=("secret",)))


def test_the_error_for_an_unknown_failure_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="gremlins; expected some of rate_limit, "):
        Simulator(SimulatorOptions(failure_types=("gremlins",)))
    with pytest.raises(ConfigurationError, match="failure_rates is gremlins"):
        Simulator(SimulatorOptions(failure_rates={"gremlins": 1}))
    with pytest.raises(ConfigurationError, match="failure_types is empty"):
        Simulator(SimulatorOptions(failure_types=()))
