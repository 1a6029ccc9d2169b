"""The answers of a live service, as far as programs need them; fields that a newer service adds are passed over."""

from msgspec import UNSET, Struct, UnsetType

from service.selfinstruct.tasks import Instance


class RunEntry(Struct, frozen=True, kw_only=True):
    """A run of the log; `is_open` if the service reads it already, which it must to know its `state`.

    `command` is the one that works on a run of which nobody does.
    """

    run: str
    is_open: bool
    state: str | None = None
    command: str | None = None


class Pace(Struct, frozen=True, kw_only=True):
    """Finished tasks a minute, and the seconds that are left at this pace."""

    per_minute: float | None = None
    left_s: float | None = None


class RunState(Struct, frozen=True, kw_only=True):
    """The state of a run; `seedstream status --json` tells more."""

    run: str
    target: int
    finished: int
    reached: bool
    paused: bool = False
    cost_usd: float | None = None
    budget_usd: float | None = None
    pace: Pace = Pace()
    as_of: str | None = None


class Goal(Struct, frozen=True, kw_only=True):
    """The target of a run in finished tasks, and its limits; `None` is no limit."""

    target: int
    max_prompts: int | None = None
    budget_usd: float | None = None
    max_marginal_cost_usd: float | None = None
    rpm: float | None = None
    tpm: float | None = None
    max_in_flight: int | None = None
    paused: bool = False


class GoalChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Changes of a goal: what is left out stays as it is, and `None` removes a limit."""

    target: int | UnsetType = UNSET
    max_prompts: int | UnsetType | None = UNSET
    budget_usd: float | UnsetType | None = UNSET
    max_marginal_cost_usd: float | UnsetType | None = UNSET
    rpm: float | UnsetType | None = UNSET
    tpm: float | UnsetType | None = UNSET
    max_in_flight: int | UnsetType | None = UNSET
    paused: bool | UnsetType = UNSET


class NewSeed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A seed task; without an `id`, it gets one that derives from its content."""

    instruction: str
    instances: tuple[Instance, ...]
    id: str | None = None
    name: str = ""
    is_classification: bool | None = None


class SeedOutcome(Struct, frozen=True, kw_only=True):
    """The ids of the seed tasks that are on their way into the pool; it leaves out those that the run has already."""

    added: tuple[str, ...]


class Seed(Struct, frozen=True, kw_only=True):
    """A seed task of the pool, and what came of the prompts that showed it."""

    id: str
    pool_seq: int
    instruction: str
    instances: tuple[Instance, ...]
    is_classification: bool | None
    prompts: int
    candidates: int
    accepted: int
    finished: int


class SeedPage(Struct, frozen=True, kw_only=True):
    """A page of seed tasks, in the order of the pool; `next` is the cursor of the next page."""

    seeds: tuple[Seed, ...]
    next: int | str | None
    total: int


class Verdict(Struct, frozen=True, kw_only=True):
    """A candidate and the verdict on it: accepted if `reason` is `None`; `nearest` is the task too similar to it."""

    id: str
    instruction: str | None
    reason: str | None
    nearest: str | None = None
    score: float | None = None


class DecisionPage(Struct, frozen=True, kw_only=True):
    """A page of verdicts, the latest first; `next` is the cursor of the next page."""

    verdicts: tuple[Verdict, ...]
    next: int | str | None
