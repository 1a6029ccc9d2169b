"""The results of comparisons by ROUGE-L (Lin 2004), as the package `rouge_score` computes it without stemming."""

from msgspec import Struct


class Match(Struct, frozen=True):
    """A text of an index, by its position from 0, and its ROUGE-L F-measure (0 … 1) with the query."""

    position: int
    score: float


class FullScan(Struct, frozen=True):
    """Comparison of a text with a whole index: the nearest texts, best first, and the mean score (0 if it is empty)."""

    matches: tuple[Match, ...]
    mean: float
