"""What the simulator is told to do."""

import math
from dataclasses import dataclass

from service.errors import ConfigurationError

MODEL = "seedstream-simulator"


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """Every knob of the simulator; names and meanings follow llm-d-inference-sim where it has one.

    Capacity: `max_num_seqs` completions at once (0: no limit), `max_waiting_queue_length` more wait, the next gets 429.
    Latency: `time_to_first_token_s` + (tokens - 1) x `inter_token_latency_s`, each with a standard deviation, clamped
    to 30 … 170 % of its mean as llm-d does. `startup_duration_s`: "Loading model" (503) for so long.
    Failures: `failure_injection_rate` in percent of requests, drawn from `failure_types` in order of arrival.
    Text: the rates are shares (0 … 1) of candidates, except `truncation_rate` and `unusable_rate`, of replies (Alpaca's
    unusable ones: of tasks). `classification_rate` is the share of fresh instructions that ask for a label.
    Numbers of tasks in a reply are (least, most); a reply still ends where the request's `stop` says.
    """

    seed: int = 0
    model: str = MODEL
    strict_model: bool = False

    max_num_seqs: int = 0
    max_waiting_queue_length: int = 1000
    time_to_first_token_s: float = 0.0
    time_to_first_token_std_dev_s: float = 0.0
    inter_token_latency_s: float = 0.0
    inter_token_latency_std_dev_s: float = 0.0
    startup_duration_s: float = 0.0

    failure_injection_rate: float = 0.0
    failure_types: tuple[str, ...] = ("rate_limit", "server_error")
    retry_after_s: float = 1.0

    near_duplicate_rate: float = 0.1
    blocked_word_rate: float = 0.03
    too_short_rate: float = 0.02
    truncation_rate: float = 0.02
    unusable_rate: float = 0.03
    classification_rate: float = 0.2
    tasks_per_reply: tuple[int, int] = (4, 7)
    alpaca_tasks_per_reply: tuple[int, int] = (10, 17)

    journal_size: int = 10_000

    def __post_init__(self) -> None:
        """Refuse values that have no meaning."""
        for name in (field for field in self.__slots__ if field.endswith("_rate")):
            self._require(name, 0, 100 if name == "failure_injection_rate" else 1)
        for name in (
            field for field in self.__slots__ if field.endswith("_s") or field.startswith(("max_", "journal_"))
        ):
            self._require(name, 0, math.inf)
        for name in ("tasks_per_reply", "alpaca_tasks_per_reply"):
            least, most = getattr(self, name)
            if not 1 <= least <= most:
                raise ConfigurationError(f"simulator: {name} is {least} … {most}; expected 1 <= least <= most")

    def _require(self, name: str, least: float, most: float) -> None:
        value: float = getattr(self, name)
        if not least <= value <= most:
            raise ConfigurationError(f"simulator: {name} is {value}; expected a number from {least} to {most}")
