"""The message types of the pipeline's topics.

Messages are frozen and ignore unknown fields, except for those that a decision depends on: limits of a goal, parameters
of a recipe. A schema evolves by added fields; a new major version is a new class with its own `ce_type`. The id of a
result derives from the id of its input and a position, so that a redelivered record yields the same ids. No field
depends on the clock; the time of a record is in its headers.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import reduce
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.errors import RecordsGoneError
from service.lm.errors import CallFailedError
from service.lm.port import Completion, FinishReason
from service.lm.usage import Usage, added
from service.messaging.unknown_fields import refuse_unknown
from service.open_enum import OpenEnum
from service.selfinstruct.asking import schema_of_tasks
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Form, Recipe
from service.selfinstruct.tasks import Candidate, Instance, InstanceReason, Reason, SeedTask
from service.selfinstruct.templates import Templates


def _is_none(value: object) -> bool:
    return value is None


class Message(BaseModel):
    """Base class of record values; `ce_type` is the CloudEvents type, `key_field` the field that becomes the key.

    A version stops at a type `io.seedstream.…` that it does not know, since its view of the run would be wrong. Types
    `io.seedstream-optional.…` are for records that it may pass over.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    ce_type: ClassVar[str]
    key_field: ClassVar[str] = "id"

    @property
    def key(self) -> str:
        """Record key: the value of the field that `key_field` names."""
        key: str = getattr(self, self.key_field)
        return key


class Call(BaseModel):
    """A call that returned a completion, with its cost. The completion is untrusted text.

    `wasted` is the usage that the server reported for failed attempts. `cost_usd` is the cost of `usage` and `wasted`
    under the price table of version `prices`, or `None` if it is unknown.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str
    completion: str
    finish_reason: FinishReason
    usage: Usage | None
    attempts: int
    cost_usd: float | None
    wasted: Usage | None = None
    prices: str | None = None

    @classmethod
    def of(cls, completion: Completion) -> "Call":
        cost = completion.cost
        return cls(
            model=completion.model,
            completion=completion.text,
            finish_reason=completion.finish_reason,
            usage=completion.usage,
            attempts=cost.attempts,
            cost_usd=cost.cost_usd,
            wasted=cost.wasted,
            prices=cost.prices,
        )

    @property
    def truncated(self) -> bool:
        """Whether the completion was cut off at the token limit."""
        return self.finish_reason is FinishReason.LENGTH


class FailedCall(BaseModel):
    """The cost of a call that failed for good; `wasted` is the usage that the server reported for its attempts."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    attempts: int
    wasted: Usage | None = None
    cost_usd: float | None = None
    prices: str | None = None

    @classmethod
    def of(cls, error: CallFailedError) -> "FailedCall":
        """Return the attempts and the cost of a failed call."""
        cost = error.cost
        return cls(attempts=cost.attempts, wasted=cost.wasted, cost_usd=cost.cost_usd, prices=cost.prices)


class Provenance(BaseModel):
    """Origin of a machine-written instruction: its prompt, parents, recipe, templates and model.

    `depth` is 1 if all parents are human tasks.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt_id: str
    parents: tuple[str, ...]
    depth: int
    recipe: str
    templates: str
    model: str


class Prompt(Message):
    """A prompt to complete. `seq` counts from 0 without gaps; `demonstrations` are ids of pool tasks, in prompt order.

    `form` is that of the recipe. In form JSON, `text` is the user message and `system` the system message.
    """

    ce_type = "io.seedstream.prompt.v1"

    id: str
    seq: int
    text: str
    system: str | None = Field(default=None, exclude_if=_is_none)
    form: Form | None = Field(default=None, exclude_if=_is_none)
    demonstrations: tuple[str, ...]
    depth: int
    recipe: str
    templates: str

    def as_input(self, recipe: Recipe) -> ModelInput:
        """Return the prompt as input of the model, with the JSON schema of its reply if the recipe has one."""
        return ModelInput(self.text, self.system or "", schema_of_tasks(recipe))


class Answer(Message):
    """The complete reply to a prompt, and the candidates parsed from it."""

    ce_type = "io.seedstream.answer.v1"
    key_field = "prompt_id"

    prompt_id: str
    prompt_seq: int
    demonstrations: tuple[str, ...]
    depth: int
    recipe: str
    templates: str
    call: Call
    candidates: tuple[Candidate, ...]


class FailedPrompt(Message):
    """A prompt whose call failed for good; it gets a decision too, which frees its place in the window."""

    ce_type = "io.seedstream.failed-prompt.v1"
    key_field = "prompt_id"

    prompt_id: str
    prompt_seq: int
    failure: str
    spent: FailedCall | None = None


class SubmittedSeed(Message):
    """A human-written task to be added to the pool."""

    ce_type = "io.seedstream.submitted-seed.v1"

    id: str
    seed: SeedTask


class Origin(StrEnum):
    """Author of a pool task: a human, or the model."""

    HUMAN = "human"
    MACHINE = "machine"


class Embedding(BaseModel):
    """Embedding of a text by `model`; `vector` is base64 of 384 components of one signed byte each."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str
    vector: str


class PooledTask(Message):
    """A task of the pool. `pool_seq` counts from 0 without gaps; a human task has a seed, a machine task a provenance.

    `embedding` is set if the recipe compares meanings.
    """

    ce_type = "io.seedstream.pooled-task.v1"

    pool_seq: int
    id: str
    origin: Origin
    instruction: str
    seed: SeedTask | None = None
    provenance: Provenance | None = None
    embedding: Embedding | None = Field(default=None, exclude_if=_is_none)

    @property
    def depth(self) -> int:
        """Generations of prompts between this task and human tasks; 0 for a human task."""
        return 0 if self.provenance is None else self.provenance.depth


class SemanticNeighbour(BaseModel):
    """The pool task nearest in meaning to a candidate: its id, and the cosine similarity (-1 … 1) by `model`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    nearest: str
    score: float
    model: str


class CandidateVerdict(BaseModel):
    """The verdict on a candidate, accepted if `reason` is `None`. `nearest` and `score` are set for `too_similar`.

    `semantic` is set if the recipe compares meanings and no other filter rejected the candidate. It affects only the
    reason `semantically_similar`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    reason: Reason | None
    nearest: str | None = None
    score: float | None = None
    semantic: SemanticNeighbour | None = Field(default=None, exclude_if=_is_none)


class Decision(Message):
    """The verdicts on a prompt's candidates. `pool_size` is the size of the pool after this decision."""

    ce_type = "io.seedstream.decision.v1"
    key_field = "prompt_id"

    prompt_id: str
    prompt_seq: int
    recipe: str
    verdicts: tuple[CandidateVerdict, ...] = ()
    failure: str | None = None
    pool_size: int

    @property
    def accepted(self) -> int:
        """Number of accepted candidates."""
        return sum(verdict.reason is None for verdict in self.verdicts)


class ScreenedText(BaseModel):
    """A hint on the candidate with this `digest`: the nearest pool task above the threshold, or `None`.

    `nearest` is a `pool_seq`, the lowest among tasks of equal score.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    digest: str
    nearest: int | None = None
    score: float | None = None


class ScreenedCandidates(Message):
    """Hints on the candidates of an answer, compared with the first `pool_seen` tasks of the pool.

    A hint saves the filter time and does not change its verdicts. `scorer` names the rule and the threshold.
    """

    ce_type = "io.seedstream.screened-candidates.v1"
    key_field = "prompt_id"

    prompt_id: str
    prompt_seq: int
    pool_seen: int
    scorer: str
    candidates: tuple[ScreenedText, ...]


class Instruction(Message):
    """An accepted machine-written instruction, the input of the stages that complete it into a task."""

    ce_type = "io.seedstream.instruction.v1"

    id: str
    pool_seq: int
    instruction: str
    provenance: Provenance


class ClassifiedInstruction(Message):
    """An instruction and whether it is a classification task.

    With `failure`, `is_classification` is `None`: the reply was neither yes nor no, or the call failed, and `spent` is
    the cost of its attempts.
    """

    ce_type = "io.seedstream.classified-instruction.v1"

    id: str
    pool_seq: int
    instruction: str
    provenance: Provenance
    is_classification: bool | None
    call: Call | None = None
    failure: str | None = None
    spent: FailedCall | None = None


class TaskInstances(Message):
    """The instances of an instruction. With `rejection`, no instance is usable and the task is not finished.

    `is_classification` is `None` if the recipe does not classify, or if the classification failed. `call` is `None` if
    the instance came with the instruction (Alpaca) or the call failed; `spent` is the cost of a failed call.
    """

    ce_type = "io.seedstream.task-instances.v1"

    id: str
    pool_seq: int
    instruction: str
    provenance: Provenance
    is_classification: bool | None
    instances: tuple[Instance, ...]
    rejection: InstanceReason | None = None
    call: Call | None = None
    failure: str | None = None
    spent: FailedCall | None = None


class FinishedTask(Message):
    """A finished task, the output of a run. `task_seq` counts from 0 without gaps, in order of completion."""

    ce_type = "io.seedstream.task.v1"

    task_seq: int
    id: str
    instruction: str
    is_classification: bool | None
    instances: tuple[Instance, ...]
    pool_seq: int
    provenance: Provenance


class RunDefined(Message):
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

    @model_validator(mode="before")
    @classmethod
    def _is_known(cls, data: Any) -> Any:
        if isinstance(data, dict):
            refuse_unknown(Recipe, data.get("recipe"), "parameter of a recipe")
            refuse_unknown(Templates, data.get("templates"), "template")
        return data


class CallsDropped(Message):
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
        )
        return cls(stage=stage, calls=len(dropped), spent=spent)


class TopicIds(Message):
    """Kafka's ids of the topics of a run, by their names within the run; replaces the previous ids.

    A topic that is deleted and created again has another id.
    """

    ce_type = "io.seedstream-optional.topic-ids.v1"
    key_field = "run"

    run: str
    ids: Mapping[str, str]


class InstructionsSearched(Message):
    """A search of admit for instructions that were lost with a topic of work: begun, or `complete`.

    After a complete one every machine task has its instruction on the log, or needs none. `ids` are those of the topics
    of work, `instructions` is the number of records on `instructions`, `tasks` that of machine tasks in the pool.
    """

    ce_type = "io.seedstream-optional.instructions-searched.v1"
    key_field = "run"

    run: str
    complete: bool
    ids: Mapping[str, str]
    instructions: int
    tasks: int


class DeadLettersPutBack(Message):
    """All dead letters of a partition below offset `below` have been put back, except those that cannot be.

    `topic` is the name of the topic that they came from, within the run.
    """

    ce_type = "io.seedstream-optional.dead-letters-put-back.v1"
    key_field = "topic"

    topic: str
    partition: int
    below: int


class GivenPrice(BaseModel):
    """The price of a model's tokens that was given by options, in US dollars per million.

    `model` is the setting of that name; it is `None` for the local model and the simulator.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str | None
    prompt: float
    completion: float


class GoalSet(Message):
    """The target of a run, in finished tasks, and its limits; replaces the previous goal.

    `budget_usd` limits the cost of all calls since the run's beginning, `max_marginal_cost_usd` the cost of each of the
    last 1,000 accepted instructions. `rpm` and `tpm` (calls and tokens per minute) and `max_in_flight` (concurrent
    calls) hold for all processes of the run together. `price` is that of the latest options with one.
    """

    ce_type = "io.seedstream.goal-set.v1"
    key_field = "run"

    run: str
    target: int = Field(ge=0)
    max_prompts: int | None = None
    budget_usd: float | None = None
    max_marginal_cost_usd: float | None = None
    rpm: float | None = None
    tpm: float | None = None
    max_in_flight: int | None = None
    price: GivenPrice | None = Field(default=None, exclude_if=_is_none)

    @model_validator(mode="before")
    @classmethod
    def _is_known(cls, data: Any) -> Any:
        refuse_unknown(cls, data, "limit")
        return data


class Ending(OpenEnum):
    """The reason why a run ended. `price_unknown`: a limit in dollars is set, and calls came back without a price."""

    TARGET_REACHED = "target_reached"
    STALLED = "stalled"
    PROMPTS_EXHAUSTED = "prompts_exhausted"
    BUDGET_SPENT = "budget_spent"
    TOO_EXPENSIVE = "too_expensive"
    PRICE_UNKNOWN = "price_unknown"


class RunEnded(Message):
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


def check_next(task: PooledTask, expected: int) -> None:
    """Raise unless a task is the expected next one: a filter would miss duplicates of a task that is absent.

    Raises:
        RecordsGoneError: `pool_seq` is not `expected`.
    """
    if task.pool_seq != expected:
        raise RecordsGoneError(f"the pool has a hole: expected task {expected}, got {task.pool_seq}")
