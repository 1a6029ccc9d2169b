"""Options of the simulator."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from service.errors import ConfigurationError
from service.simulator.retry_after import RetryAfterForm


class Vocabulary(StrEnum):
    """The language or script of the simulator's text, or code."""

    EN = "en"
    ZH = "zh"
    RU = "ru"
    TR = "tr"
    CODE = "code"


MODEL = "seedstream-simulator"
_WHOLE = 100.0


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """Every option of the simulator; names and meanings follow llm-d-inference-sim where it has an equivalent.

    Capacity: `max_num_seqs` completions run at once (0: no limit), `max_waiting_queue_length` more wait, and the next
    gets 429. `max_model_len` limits prompt and completion together, in tokens; longer requests get 400 (0: no limit).
    Latency: `time_to_first_token_s` + (tokens - 1) x `inter_token_latency_s`, each with a standard deviation and
    clamped to 30 … 170 % of its mean as in llm-d, times a factor that rises to `time_factor_under_load` as the places
    fill up. Requests get 503, "Loading model", for the first `startup_duration_s`.
    Keys: any API key is accepted unless `api_keys` are given. Each key may start `requests_per_minute` requests, use
    `tokens_per_minute` tokens and have `requests_at_once` requests in flight; requests beyond a limit get 429 (0: no
    limit). A request reserves its prompt and its `max_tokens`, and returns the tokens that were not generated. Limits
    per minute recover evenly and allow bursts of five seconds' worth.
    Failures: `failure_injection_rate` is the percentage of requests that fail, with types drawn from `failure_types`
    in order of arrival. `failure_rates` are percentages by type, drawn independently; if several types hit, one of
    them is chosen. Every 429 except `quota` asks the client to wait, for `retry_after_s` or until the limit has room,
    in the form `retry_after_form`. A `timeout` sends nothing for `timeout_duration_s`, or until the client leaves.
    Batches: lines are answered within `batch_duration_s`; with 0, at the next API request. A batch may have
    `max_batch_requests` requests, and all batches under way `max_batch_tokens` tokens (0: no limit).
    `batch_expired_rate` is the share (0 … 1) of lines that expire. Injected failures apply to lines.
    Text: rates are shares (0 … 1) of candidates, except `truncation_rate` and `unusable_rate`, which are shares of
    replies (for Alpaca, `unusable_rate` is a share of tasks). `classification_rate` is the share of fresh instructions
    that ask for a label. If a prompt contains `hard_words`, a share of `hard_rate` of its candidates is too short.
    `vocabulary` is the language of instructions and instances. Numbers of tasks in a reply are (least, most); a reply
    still ends at the request's `stop`.
    """

    seed: int = 0
    model: str = MODEL
    strict_model: bool = False

    max_num_seqs: int = 0
    max_waiting_queue_length: int = 1000
    max_model_len: int = 0
    time_to_first_token_s: float = 0.0
    time_to_first_token_std_dev_s: float = 0.0
    inter_token_latency_s: float = 0.0
    inter_token_latency_std_dev_s: float = 0.0
    time_factor_under_load: float = 1.0
    startup_duration_s: float = 0.0

    api_keys: tuple[str, ...] = field(default=(), repr=False)
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    requests_at_once: int = 0

    failure_injection_rate: float = 0.0
    failure_types: tuple[str, ...] = ("rate_limit", "server_error")
    failure_rates: Mapping[str, float] = field(default_factory=dict)
    retry_after_s: float = 1.0
    retry_after_form: RetryAfterForm = RetryAfterForm.SECONDS
    timeout_duration_s: float = 600.0

    batch_duration_s: float = 0.0
    batch_expired_rate: float = 0.0
    max_batch_requests: int = 50_000
    max_batch_tokens: int = 0

    vocabulary: Vocabulary = Vocabulary.EN
    near_duplicate_rate: float = 0.1
    blocked_word_rate: float = 0.03
    too_short_rate: float = 0.02
    hard_words: str = ""
    hard_rate: float = 0.5
    truncation_rate: float = 0.02
    unusable_rate: float = 0.03
    classification_rate: float = 0.2
    tasks_per_reply: tuple[int, int] = (4, 7)
    alpaca_tasks_per_reply: tuple[int, int] = (10, 17)

    journal_size: int = 10_000

    def __post_init__(self) -> None:
        """Raise `ConfigurationError` unless every number is within its range."""
        for name, most in _MOST.items():
            _require(name, getattr(self, name), 0, most)
        for name, rate in self.failure_rates.items():
            _require(f"failure_rates of {name}", rate, 0, _WHOLE)
        for name in ("tasks_per_reply", "alpaca_tasks_per_reply"):
            least, most = getattr(self, name)
            if not 1 <= least <= most:
                raise ConfigurationError(f"simulator: {name} is {least} … {most}; expected 1 <= least <= most")
        _require("time_factor_under_load", self.time_factor_under_load, 1, math.inf)
        if self.time_factor_under_load > 1 and not self.max_num_seqs:
            raise ConfigurationError("simulator: time_factor_under_load needs max_num_seqs, which is full load")


def _require(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise ConfigurationError(f"simulator: {name} is {value}; expected a number from {least} to {most}")


def _greatest(name: str) -> float:
    if name.endswith("_rate"):
        return _WHOLE if name == "failure_injection_rate" else 1.0
    return math.inf


_NUMBERS = {knob.name for knob in fields(SimulatorOptions) if type(knob.default) in (int, float)} - {"seed"}
_MOST = {name: _greatest(name) for name in sorted(_NUMBERS)}
