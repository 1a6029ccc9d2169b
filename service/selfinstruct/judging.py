"""Verdicts on candidates, in order, each against the pool and the candidates accepted before it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from service.selfinstruct.filters import refusal
from service.selfinstruct.recipe import Recipe, SemanticFilter
from service.selfinstruct.similarity import Match
from service.selfinstruct.tasks import Candidate, Reason

if TYPE_CHECKING:  # a recipe that compares no meanings needs no numpy
    from service.selfinstruct.semantic import Meanings
    from service.selfinstruct.vectors import Neighbour


class Pool(Protocol):
    """Interface to the instructions accepted so far: a `SimilarityIndex`, or an `Overlay` for a batch."""

    def add(self, text: str, /) -> int:
        """Append an instruction and return its position."""
        ...

    def nearest(self, text: str, /) -> Match | None:
        """Return the nearest instruction whose score is strictly above the recipe's threshold, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one candidate, which is accepted if `reason` is None.

    `nearest` is set if the reason is `TOO_SIMILAR`: the position of the nearest instruction in the pool, and its score.
    `neighbour` is the task nearest in meaning. It is set if meanings are compared and no other filter rejected the
    candidate.
    """

    candidate: Candidate
    reason: Reason | None = None
    nearest: Match | None = None
    neighbour: "Neighbour | None" = None

    @property
    def accepted(self) -> bool:
        """Whether the candidate is now in the pool."""
        return self.reason is None


def judge(
    recipe: Recipe, candidates: Iterable[Candidate], pool: Pool, meanings: "Meanings | None" = None
) -> tuple[Verdict, ...]:
    """Return one verdict for each candidate, in order, and add the accepted ones to `pool` and `meanings`.

    To judge a batch, call it for each reply with the same overlay (paper, section 2.2, filtering). Without `meanings`,
    meanings are not compared, whatever the recipe says.
    """
    return tuple(_verdict(recipe, candidate, pool, meanings) for candidate in candidates)


def _verdict(recipe: Recipe, candidate: Candidate, pool: Pool, meanings: "Meanings | None") -> Verdict:
    if (reason := refusal(recipe.filters, candidate)) is not None:
        return Verdict(candidate, reason)
    text = candidate.instruction
    nearest = pool.nearest(text)
    if nearest is not None:
        return Verdict(candidate, Reason.TOO_SIMILAR, nearest)
    if meanings is None:
        pool.add(text)
        return Verdict(candidate)
    neighbour = meanings.nearest(candidate.instruction)
    if _is_too_near(neighbour, recipe.semantic):
        return Verdict(candidate, Reason.SEMANTICALLY_SIMILAR, neighbour=neighbour)
    pool.add(text)
    meanings.add(candidate.instruction)
    return Verdict(candidate, neighbour=neighbour)


def _is_too_near(neighbour: "Neighbour | None", semantic: SemanticFilter | None) -> bool:
    if neighbour is None or semantic is None or semantic.threshold is None:
        return False
    return neighbour.score > semantic.threshold
