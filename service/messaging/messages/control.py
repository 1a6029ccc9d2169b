"""Messages of `control`: definition, goals and end of a run, and notes of its stages."""

from collections.abc import Sequence
from functools import reduce
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, structs

from service.lm.usage import added
from service.messaging.messages.base import NULL, Message
from service.messaging.messages.calls import FailedCall
from service.messaging.unknown_fields import refuse_unknown
from service.open_enum import OpenEnum
from service.selfinstruct.recipe import Recipe, without_unset
from service.selfinstruct.templates import Templates


class RunDefined(Message, frozen=True, kw_only=True):
    """The definition of a run, written once, first on `control`; `seeds` is a digest of the seed tasks."""

    ce_type = "io.seedstream.run-defined.v1"
    key_field = "run"

    run: str
    recipe: Recipe
    templates: Templates
    seeds: str
    seed_count: int
    random_seed: int
    made_by: str

    def to_json(self) -> bytes:
        """Return the message as JSON, without parameters that earlier versions do not know and that are not set."""
        fields = msgspec.to_builtins(self)
        return msgspec.json.encode(fields | {"recipe": without_unset(fields["recipe"])})

    @classmethod
    def check_json(cls, value: bytes) -> None:
        """Refuse parameters of a recipe, and templates, that are unknown here and are set."""
        fields = msgspec.json.decode(value)
        if isinstance(fields, dict):
            refuse_unknown(Recipe, fields.get("recipe"), "parameter of a recipe")
            refuse_unknown(Templates, fields.get("templates"), "template")


class CallsDropped(Message, frozen=True, kw_only=True):
    """The cost of calls that a stage dropped before an answer; they are repeated, but these attempts were paid for.

    One record covers all `calls` that a worker dropped.
    """

    ce_type = "io.seedstream.calls-dropped.v1"
    key_field = "stage"

    stage: str
    calls: int
    spent: FailedCall

    @classmethod
    def of(cls, stage: str, dropped: Sequence[FailedCall]) -> "CallsDropped":
        """Return the sum over the dropped calls; its cost is known only if the cost of each call is."""
        costs = [each.cost_usd for each in dropped if each.cost_usd is not None]
        spent = FailedCall(
            attempts=sum(each.attempts for each in dropped),
            wasted=reduce(added, (each.wasted for each in dropped)),
            cost_usd=sum(costs) if len(costs) == len(dropped) else None,
            prices=dropped[-1].prices,
            model=dropped[-1].model,
        )
        return cls(stage=stage, calls=len(dropped), spent=spent)


class TopicIds(Message, frozen=True, kw_only=True):
    """Kafka's ids of the topics of a run, by their names within the run; replaces the previous ids.

    A topic that is deleted and created again has another id.
    """

    ce_type = "io.seedstream-optional.topic-ids.v1"
    key_field = "run"

    run: str
    ids: dict[str, str]


class InstructionsSearched(Message, frozen=True, kw_only=True):
    """A search of admit for instructions that were lost with a topic of work: begun, or `complete`.

    After a complete one every machine task has its instruction on the log, or needs none. `ids` are those of the topics
    of work, `instructions` is the number of records on `instructions`, `tasks` that of machine tasks in the pool.
    """

    ce_type = "io.seedstream-optional.instructions-searched.v1"
    key_field = "run"

    run: str
    complete: bool
    ids: dict[str, str]
    instructions: int
    tasks: int


class DeadLettersPutBack(Message, frozen=True, kw_only=True):
    """All dead letters of a partition below offset `below` have been put back, except those that cannot be.

    `topic` is the name of the topic that they came from, within the run.
    """

    ce_type = "io.seedstream-optional.dead-letters-put-back.v1"
    key_field = "topic"

    topic: str
    partition: int
    below: int


class WebhookDelivered(Message, frozen=True, kw_only=True):
    """All tasks before an offset vector of the topic `tasks` were delivered to a webhook."""

    ce_type = "io.seedstream-optional.webhook-delivered.v1"
    key_field = "webhook"

    run: str
    webhook: str
    position: str


class GivenPrice(Struct, frozen=True, gc=False, kw_only=True):
    """The price of a model's tokens that was given by options, in US dollars per million.

    `model` is the setting of that name; it is `None` for the local model and the simulator.
    """

    model: str | None
    prompt: float
    completion: float


class StageLimits(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The limits of a stage's model, in place of the run's: 0 means no limit, `None` that the run's holds."""

    rpm: float | None = None
    tpm: float | None = None
    max_in_flight: int | None = None

    @property
    def named(self) -> dict[str, float]:
        """The limits that are set here."""
        return {name: limit for name, limit in structs.asdict(self).items() if limit is not None}


class GoalSet(Message, frozen=True, kw_only=True, omit_defaults=True):
    """The target of a run, in finished tasks, and its limits; replaces the previous goal.

    `budget_usd` limits the cost of all calls since the run's beginning, `max_marginal_cost_usd` the cost of each of the
    last 1,000 accepted instructions. `rpm` and `tpm` (calls and tokens per minute) and `max_in_flight` (concurrent
    calls) hold for all processes of the run together, for each model on its server; `stages` has those of single
    steps. `price` is that of the latest options with one. While a run is `paused`, no call begins; calls in flight are
    finished and recorded.
    """

    ce_type = "io.seedstream.goal-set.v1"
    key_field = "run"

    run: str
    target: Annotated[int, Meta(ge=0)]
    max_prompts: int | None = NULL
    budget_usd: float | None = NULL
    max_marginal_cost_usd: float | None = NULL
    rpm: float | None = NULL
    tpm: float | None = NULL
    max_in_flight: int | None = NULL
    price: GivenPrice | None = None
    stages: dict[str, StageLimits] | None = None
    paused: bool = False

    @classmethod
    def check_json(cls, value: bytes) -> None:
        """Refuse limits that are unknown here and are set."""
        _refuse_unknown_limits(msgspec.json.decode(value))


class Ending(OpenEnum):
    """The reason why a run ended. `price_unknown`: a limit in dollars is set, and calls came back without a price."""

    TARGET_REACHED = "target_reached"
    STALLED = "stalled"
    PROMPTS_EXHAUSTED = "prompts_exhausted"
    BUDGET_SPENT = "budget_spent"
    TOO_EXPENSIVE = "too_expensive"
    PRICE_UNKNOWN = "price_unknown"


class RunEnded(Message, frozen=True, kw_only=True):
    """The end of a run under its current goal; the run continues when a new goal is set.

    `goal` is the complete goal, or `None` if the writer knew only its target.
    """

    ce_type = "io.seedstream.run-ended.v1"
    key_field = "run"

    run: str
    ending: Ending
    target: int
    finished: int
    detail: str
    goal: GoalSet | None = None

    @classmethod
    def target_reached(cls, run: str, target: int) -> "RunEnded":
        """Return the record of a run that has reached its target."""
        detail = f"{target} tasks are finished"
        return cls(run=run, ending=Ending.TARGET_REACHED, target=target, finished=target, detail=detail)

    @classmethod
    def check_json(cls, value: bytes) -> None:
        """Refuse limits of the goal that are unknown here and are set."""
        fields = msgspec.json.decode(value)
        if isinstance(fields, dict):
            _refuse_unknown_limits(fields.get("goal"))


def _refuse_unknown_limits(goal: object) -> None:
    refuse_unknown(GoalSet, goal, "limit")
    stages = goal.get("stages") if isinstance(goal, dict) else None
    for limits in stages.values() if isinstance(stages, dict) else ():
        refuse_unknown(StageLimits, limits, "limit of a stage")
