"""The results of comparisons by ROUGE-L (Lin 2004), as the package `rouge_score` computes it without stemming."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Match:
    """A text of an index, by its position from 0, and its ROUGE-L F-measure (0 … 1) with the query."""

    position: int
    score: float


@dataclass(frozen=True, slots=True)
class FullScan:
    """Comparison of a text with a whole index: the nearest texts, best first, and the mean score (0 if it is empty)."""

    matches: tuple[Match, ...]
    mean: float
