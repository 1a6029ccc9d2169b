"""Messages of `pool`, `decisions` and `hints`."""

from enum import StrEnum

from msgspec import Struct

from service.errors import RecordsGoneError
from service.messaging.messages.base import NONE, NULL, AboutPrompt, Message
from service.messaging.messages.tasks import Provenance
from service.selfinstruct.tasks import Reason, SeedTask


class Origin(StrEnum):
    """Author of a pool task: a human, or the model."""

    HUMAN = "human"
    MACHINE = "machine"


class Embedding(Struct, frozen=True, gc=False, kw_only=True):
    """Embedding of a text by `model`; `vector` is base64 of 384 components of one signed byte each."""

    model: str
    vector: str


class PooledText(Message, frozen=True, kw_only=True):
    """The beginning of a `PooledTask`, for readers that need no more of it."""

    ce_type = "io.seedstream.pooled-task.v1"

    pool_seq: int
    id: str
    origin: Origin
    instruction: str


class PooledTask(PooledText, frozen=True, kw_only=True, omit_defaults=True):
    """A task of the pool. `pool_seq` counts from 0 without gaps; a human task has a seed, a machine task a provenance.

    `embedding` is set if the recipe compares meanings.
    """

    seed: SeedTask | None = NULL
    provenance: Provenance | None = NULL
    embedding: Embedding | None = None

    @property
    def depth(self) -> int:
        """Generations of prompts between this task and human tasks; 0 for a human task."""
        return 0 if self.provenance is None else self.provenance.depth


class Generation(Struct, frozen=True, gc=False, kw_only=True):
    """The part of a `Provenance` that later prompts need."""

    depth: int


class ShownTask(PooledText, frozen=True, kw_only=True):
    """The part of a `PooledTask` that prompts show, and its depth."""

    seed: SeedTask | None = None
    provenance: Generation | None = None

    @property
    def depth(self) -> int:
        """Generations of prompts between this task and human tasks; 0 for a human task."""
        return 0 if self.provenance is None else self.provenance.depth


class SemanticNeighbour(Struct, frozen=True, gc=False, kw_only=True):
    """The pool task nearest in meaning to a candidate: its id, and the cosine similarity (-1 … 1) by `model`."""

    nearest: str
    score: float
    model: str


class CandidateVerdict(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The verdict on a candidate, accepted if `reason` is `None`. `nearest` and `score` are set for `too_similar`.

    `semantic` is set if the recipe compares meanings and no other filter rejected the candidate. It affects only the
    reason `semantically_similar`.
    """

    id: str
    reason: Reason | None
    nearest: str | None = NULL
    score: float | None = NULL
    semantic: SemanticNeighbour | None = None


class Decision(AboutPrompt, frozen=True, kw_only=True, omit_defaults=True):
    """The verdicts on a prompt's candidates. `pool_size` is the size of the pool after this decision."""

    ce_type = "io.seedstream.decision.v1"

    recipe: str
    verdicts: tuple[CandidateVerdict, ...] = NONE
    failure: str | None = NULL
    pool_size: int
    topic: str | None = None

    @property
    def accepted(self) -> int:
        """Number of accepted candidates."""
        return [verdict.reason is None for verdict in self.verdicts].count(True)


class DecidedPrompt(AboutPrompt, frozen=True, kw_only=True):
    """The part of a `Decision` that counts for later ones, for readers that need no more of it."""

    ce_type = Decision.ce_type

    pool_size: int


class CountedVerdict(Struct, frozen=True, gc=False, kw_only=True):
    """The part of a `CandidateVerdict` that is counted."""

    id: str
    reason: Reason | None


class CountedDecision(DecidedPrompt, frozen=True, kw_only=True):
    """The part of a `Decision` that is counted."""

    verdicts: tuple[CountedVerdict, ...] = ()
    failure: str | None = None
    topic: str | None = None

    @property
    def accepted(self) -> int:
        """Number of accepted candidates."""
        return [verdict.reason is None for verdict in self.verdicts].count(True)


class ScreenedText(Struct, frozen=True, gc=False, kw_only=True):
    """A hint on the candidate with this `digest`: the nearest pool task above the threshold, or `None`.

    `nearest` is a `pool_seq`, the lowest among tasks of equal score.
    """

    digest: str
    nearest: int | None = None
    score: float | None = None


class ScreenedCandidates(AboutPrompt, frozen=True, kw_only=True):
    """Hints on the candidates of an answer, compared with the first `pool_seen` tasks of the pool.

    A hint saves the filter time and does not change its verdicts. `scorer` names the rule and the threshold.
    """

    ce_type = "io.seedstream.screened-candidates.v1"

    pool_seen: int
    scorer: str
    candidates: tuple[ScreenedText, ...]


def check_next(task: PooledText, expected: int) -> None:
    """Raise unless a task is the expected next one: a filter would miss duplicates of a task that is absent.

    Raises:
        RecordsGoneError: `pool_seq` is not `expected`.
    """
    if task.pool_seq != expected:
        raise RecordsGoneError(f"the pool has a hole: expected task {expected}, got {task.pool_seq}")
