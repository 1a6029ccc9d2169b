"""Answers about runs."""

from typing import Any

from msgspec import Struct

from service.web.api.standing import RunStatus


class RunEntry(Struct, frozen=True, kw_only=True):
    """A run of the log. It `is_open` if this process reads it already.

    `state` is null as long as it is not read; `command` brings it on.
    """

    run: str
    is_open: bool
    state: RunStatus | None
    command: str | None


class RunList(Struct, frozen=True, kw_only=True):
    """The runs of the log, by name."""

    runs: list[RunEntry]


class RecipeFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The recipe of a run; `later_forms` says how later steps ask, if otherwise than the first."""

    name: str
    form: str
    chat_model: bool
    digest: str
    later_forms: dict[str, Any] | None = None


class TopicFacts(Struct, frozen=True, kw_only=True):
    """A topic of the subject: its share (0 … 1) wanted and reached, and its counts."""

    topic: str
    wanted: float
    reached: float | None
    finished: int
    accepted: int
    candidates: int
    prompts: int
    fruitless: int


class EndingFacts(Struct, frozen=True, kw_only=True):
    """How and why the run ended."""

    how: str
    detail: str


class PoolFacts(Struct, frozen=True, kw_only=True):
    """The accepted tasks, written by people and by the model."""

    size: int
    human: int
    machine: int


class PromptFacts(Struct, frozen=True, kw_only=True):
    """The prompts. `open` is unknown if records cannot be read."""

    issued: int
    decided: int
    open: int | None
    failed: int


class CandidateFacts(Struct, frozen=True, kw_only=True):
    """The candidates with a verdict; `acceptance` is the share of accepted ones, 0 … 1."""

    judged: int
    accepted: int
    acceptance: float
    rejected: dict[str, int]


class StuckFacts(Struct, frozen=True, kw_only=True):
    """Prompts and tasks that wait for dead letters to be put back."""

    prompts: int
    tasks: int


class Pace(Struct, frozen=True, kw_only=True):
    """Finished tasks a minute, and the seconds left at this pace; unknown at first, and where nothing is left."""

    per_minute: float | None
    left_s: float | None


class Staff(Struct, frozen=True, kw_only=True):
    """The processes that have a role, and those that stand by to take over."""

    active: tuple[str, ...]
    standing_by: tuple[str, ...]


class Stalled(Struct, frozen=True, kw_only=True):
    """A run that has work and does not move: for how many seconds, and the records that wait, by role."""

    worked_on: bool
    seconds: int
    waiting_for: dict[str, int]


class ModelState(Struct, frozen=True, kw_only=True):
    """The calls of this process to a model; `limit` is the number of calls at once that its servers take now."""

    name: str
    limit: int
    in_flight: int
    waiting: int
    health: str


class Limits(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The limits on calls; `stages` has those of single stages."""

    rpm: float | None
    tpm: float | None
    max_in_flight: float | None
    stages: dict[str, dict[str, float]] | None = None


class RunFacts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The state of a run, as `seedstream status --json` tells it, and how it moves.

    `as_of` is the time of the latest record that was read. `lag` are the records that wait, by role. `model` is known
    where this process works on the run. Costs are in US dollars; an unknown one is null. `recipe` is null as long as
    the run is not defined. `command` brings a run on whose `state` is `not_running` or `undefined`.
    """

    run: str
    state: RunStatus
    command: str | None
    recipe: RecipeFacts | None
    templates: str | None
    about: str | None
    topics: list[TopicFacts]
    target: int
    max_prompts: int | None
    reached: bool
    paused: bool
    ending: EndingFacts | None
    finished: int
    classification: int
    instances: int
    pool: PoolFacts
    prompts: PromptFacts
    candidates: CandidateFacts
    dropped: dict[str, int]
    pending: int | None
    unread: dict[str, int]
    dead_letters: dict[str, int]
    stuck: StuckFacts
    spent: dict[str, dict[str, Any]]
    limits: Limits
    cost_usd: float | None
    known_cost_usd: float | None
    uncounted: int
    unpriced: int
    paid_twice: int
    per_accepted_usd: float | None
    per_finished_usd: float | None
    marginal_usd: float | None
    forecast_usd: float | None
    budget_usd: float | None
    budget_left_usd: float | None
    max_marginal_cost_usd: float | None
    prices: list[str]
    pace: Pace
    lag: dict[str, int]
    at_work: dict[str, Staff]
    stalled: Stalled | None
    model: list[ModelState] | None
    as_of: str | None
