"""Verdicts on candidates, one after another, each against the pool with the accepted ones before it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from service.selfinstruct.filters import refusal
from service.selfinstruct.recipe import Filters, Recipe
from service.selfinstruct.similarity import Match
from service.selfinstruct.tasks import Candidate, Reason


class Pool(Protocol):
    """What judging needs of the instructions accepted so far: a `SimilarityIndex`, or an `Overlay` for a batch."""

    def add(self, text: str, /) -> int:
        """Take an instruction in and return its position."""
        ...

    def nearest_above(self, text: str, threshold: float, /) -> Match | None:
        """Return the nearest instruction whose score is strictly above the threshold, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one candidate: accepted where there is no reason against it.

    `nearest` is set where the reason is `TOO_SIMILAR`: the nearest instruction's position in the pool, and its score.
    """

    candidate: Candidate
    reason: Reason | None = None
    nearest: Match | None = None

    @property
    def accepted(self) -> bool:
        """Whether the candidate belongs to the pool now."""
        return self.reason is None


def judge(recipe: Recipe, candidates: Iterable[Candidate], pool: Pool) -> tuple[Verdict, ...]:
    """Return one verdict for each candidate, in order, and add the accepted ones to `pool`.

    Call it reply after reply with one overlay to judge a batch (paper, section 2.2, filtering).
    """
    return tuple(_verdict(recipe.filters, candidate, pool) for candidate in candidates)


def _verdict(filters: Filters, candidate: Candidate, pool: Pool) -> Verdict:
    if (reason := refusal(filters, candidate)) is not None:
        return Verdict(candidate, reason)
    nearest = pool.nearest_above(candidate.instruction, filters.rouge_threshold)
    if nearest is not None:
        return Verdict(candidate, Reason.TOO_SIMILAR, nearest)
    pool.add(candidate.instruction)
    return Verdict(candidate)
