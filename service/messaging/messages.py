"""The messages of the pipeline: what one record of each topic says.

All are frozen and ignore fields they do not know. Evolution is additive; a new major version is a new class with a
`ce_type` of its own. Ids of results derive from the id of their cause and a position, so that a record delivered again
yields the same ids. Nothing here depends on the clock: the time of a record is in its headers.
"""

from collections.abc import Sequence
from enum import StrEnum
from functools import reduce
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from service.errors import BrokerError
from service.lm.errors import CallFailedError
from service.lm.port import Completion, FinishReason
from service.lm.usage import Usage, added
from service.selfinstruct.asking import schema_of_tasks
from service.selfinstruct.model_input import ModelInput
from service.selfinstruct.recipe import Form, Recipe
from service.selfinstruct.tasks import Candidate, Instance, InstanceReason, Reason, SeedTask
from service.selfinstruct.templates import Templates


def _is_none(value: object) -> bool:
    return value is None


class Message(BaseModel):
    """One record's value; `ce_type` is its CloudEvents type, `key_field` the field that holds its key."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    ce_type: ClassVar[str]
    key_field: ClassVar[str] = "id"

    @property
    def key(self) -> str:
        """Return the id of what this message is about."""
        key: str = getattr(self, self.key_field)
        return key


class Call(BaseModel):
    """One completed call to the language model: what came back and what it took. The text is hostile.

    `wasted` is what the server counted for attempts that gave nothing; `cost_usd` is the price of it and of `usage` by
    the price table of version `prices`, none where it is not known.
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
        """Return the record of a completion."""
        return cls(
            model=completion.model,
            completion=completion.text,
            finish_reason=completion.finish_reason,
            usage=completion.usage,
            attempts=completion.attempts,
            cost_usd=completion.cost_usd,
            wasted=completion.wasted,
            prices=completion.prices,
        )

    @property
    def truncated(self) -> bool:
        """Whether the model ran out of tokens before it had finished."""
        return self.finish_reason is FinishReason.LENGTH


class FailedCall(BaseModel):
    """What a call took that gave no completion for good, as far as the server counted its attempts."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    attempts: int
    wasted: Usage | None = None
    cost_usd: float | None = None
    prices: str | None = None

    @classmethod
    def of(cls, error: CallFailedError) -> "FailedCall":
        """Return the record of a failure."""
        return cls(attempts=error.attempts, wasted=error.wasted, cost_usd=error.cost_usd, prices=error.prices)


class Provenance(BaseModel):
    """Where a machine-written instruction comes from; `depth` is 1 for a child of human tasks alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt_id: str
    parents: tuple[str, ...]
    depth: int
    recipe: str
    templates: str
    model: str


class Prompt(Message):
    """A prompt to be completed. `seq` is dense from 0; `demonstrations` are ids of pool tasks, in the order shown.

    `form` is the recipe's. In the form JSON `text` is what the user says, and `system` goes before it.
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
        """Return the prompt as the model is to see it."""
        return ModelInput(self.text, self.system or "", schema_of_tasks(recipe))


class Answer(Message):
    """What the model answered to one prompt, whole, and the candidates found in it."""

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
    """A prompt that was given up: it ends in a decision like any other, or its credit would leak."""

    ce_type = "io.seedstream.failed-prompt.v1"
    key_field = "prompt_id"

    prompt_id: str
    prompt_seq: int
    failure: str
    spent: FailedCall | None = None


class SubmittedSeed(Message):
    """A human-written task on its way into the pool."""

    ce_type = "io.seedstream.submitted-seed.v1"

    id: str
    seed: SeedTask


class Origin(StrEnum):
    """Who wrote a task of the pool."""

    HUMAN = "human"
    MACHINE = "machine"


class Embedding(BaseModel):
    """What a model makes of a text's meaning: `vector` is base64 of 384 components of one signed byte each."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str
    vector: str


class PooledTask(Message):
    """A task of the pool. `pool_seq` is dense from 0; a human task brings its seed, a machine task its provenance.

    `embedding` is there where the recipe compares meanings.
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
        """Return how many generations of prompts lie between this task and human ones."""
        return 0 if self.provenance is None else self.provenance.depth


class SemanticNeighbour(BaseModel):
    """The pool's task nearest in meaning to a candidate: its id, and the cosine (-1 … 1) by this model."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    nearest: str
    score: float
    model: str


class CandidateVerdict(BaseModel):
    """The verdict on one candidate: accepted iff `reason` is none. `nearest` and `score` belong to `too_similar`.

    `semantic` is there where the recipe compares meanings and no other filter refused the candidate; it is the reason
    of `semantically_similar`, and otherwise decides nothing.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    reason: Reason | None
    nearest: str | None = None
    score: float | None = None
    semantic: SemanticNeighbour | None = Field(default=None, exclude_if=_is_none)


class Decision(Message):
    """The verdict on one prompt. `pool_size` counts the pool's tasks once this decision has taken effect."""

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
        """Return how many candidates of this prompt entered the pool."""
        return sum(verdict.reason is None for verdict in self.verdicts)


class ScreenedText(BaseModel):
    """What a screen found for one candidate, which `digest` stands for: the nearest task above the threshold, or none.

    `nearest` is its `pool_seq`; of equals it is the lowest.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    digest: str
    nearest: int | None = None
    score: float | None = None


class ScreenedCandidates(Message):
    """A hint: how the candidates of one answer compare with the first `pool_seen` tasks of the pool.

    Nothing depends on it but the time that the filter takes. `scorer` says by which rule and threshold it was made.
    """

    ce_type = "io.seedstream.screened-candidates.v1"
    key_field = "prompt_id"

    prompt_id: str
    prompt_seq: int
    pool_seen: int
    scorer: str
    candidates: tuple[ScreenedText, ...]


class Instruction(Message):
    """An accepted machine instruction, as work for the stages that complete it into a task."""

    ce_type = "io.seedstream.instruction.v1"

    id: str
    pool_seq: int
    instruction: str
    provenance: Provenance


class ClassifiedInstruction(Message):
    """An instruction and whether it is a classification task; with `failure`, nobody could tell.

    `spent` is what the failed call took.
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
    """The instances of one instruction; with `rejection` there is none to use, and the task will not be finished.

    `is_classification` is none where the recipe has no such step. `call` is none where the instance came with the
    instruction (Alpaca) or the call failed; `spent` is what it took then.
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
    """A finished task: the product. `task_seq` is dense from 0 in the order of finishing."""

    ce_type = "io.seedstream.task.v1"

    task_seq: int
    id: str
    instruction: str
    is_classification: bool | None
    instances: tuple[Instance, ...]
    pool_seq: int
    provenance: Provenance


class RunDefined(Message):
    """What the run is; written once, before anything else."""

    ce_type = "io.seedstream.run-defined.v1"
    key_field = "run"

    run: str
    recipe: Recipe
    templates: Templates
    seeds: str
    seed_count: int
    random_seed: int
    made_by: str


class CallsDropped(Message):
    """What attempts took of calls that a stage had to drop at a stop: they are made again, and this was paid too.

    All that one worker dropped of its stage are one record; `calls` is how many.
    """

    ce_type = "io.seedstream.calls-dropped.v1"
    key_field = "stage"

    stage: str
    calls: int
    spent: FailedCall

    @classmethod
    def of(cls, stage: str, dropped: Sequence[FailedCall]) -> "CallsDropped":
        """Return the sum of what was dropped; its cost is known if that of each is."""
        costs = [each.cost_usd for each in dropped if each.cost_usd is not None]
        spent = FailedCall(
            attempts=sum(each.attempts for each in dropped),
            wasted=reduce(added, (each.wasted for each in dropped)),
            cost_usd=sum(costs) if len(costs) == len(dropped) else None,
            prices=dropped[-1].prices,
        )
        return cls(stage=stage, calls=len(dropped), spent=spent)


class GoalSet(Message):
    """What is wanted of the run from now on: so many finished tasks, and what may be used for them at most.

    `budget_usd` bounds what all calls since the run's beginning cost, `max_marginal_cost_usd` what each of the last
    1,000 accepted instructions did. `rpm` and `tpm` (calls and tokens a minute) and `max_in_flight` (calls at once)
    hold for all processes of the run together.
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


class Ending(StrEnum):
    """How a run comes to rest. `price_unknown`: it has a limit in dollars, and calls came back without a price."""

    TARGET_REACHED = "target_reached"
    STALLED = "stalled"
    PROMPTS_EXHAUSTED = "prompts_exhausted"
    BUDGET_SPENT = "budget_spent"
    TOO_EXPENSIVE = "too_expensive"
    PRICE_UNKNOWN = "price_unknown"


class RunEnded(Message):
    """The run has come to rest for the goal it had; a new goal wakes it.

    `goal` is the whole of it, where the writer knew more than its target.
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
        """Return the ending that is hoped for."""
        detail = f"{target} tasks are finished"
        return cls(run=run, ending=Ending.TARGET_REACHED, target=target, finished=target, detail=detail)


def check_next(task: PooledTask, expected: int) -> None:
    """Check that the pool goes on without a hole: whoever compares with it would not see what is missing.

    Raises:
        BrokerError: the task is not the expected one.
    """
    if task.pool_seq != expected:
        raise BrokerError(f"the pool has a hole: expected task {expected}, got {task.pool_seq}")
