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
        {"retry_after_s": float("nan")},
        {"tasks_per_reply": (5, 4)},
    ],
)
def test_values_without_meaning_are_refused_by_name(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        replace(SimulatorOptions(), **options)  # type: ignore[arg-type]


def test_an_unknown_failure_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ConfigurationError, match="gremlins; expected some of rate_limit, server_error"):
        Simulator(SimulatorOptions(failure_types=("gremlins",)))
