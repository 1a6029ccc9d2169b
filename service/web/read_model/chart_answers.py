"""The answers of the read model for charts: series over time, and the diversity of the pool."""

from enum import StrEnum

from msgspec import Struct


class SeriesName(StrEnum):
    """The series that charts show."""

    REJECTIONS = "rejections"
    ACCEPTANCE = "acceptance"
    POOL = "pool"
    COST = "cost"


class RejectionPoint(Struct, frozen=True, kw_only=True):
    """The candidates rejected for a reason up to a time."""

    at_ms: int
    reason: str
    rejected: int


class AcceptancePoint(Struct, frozen=True, kw_only=True):
    """The share of accepted candidates among those judged since the point before this one."""

    at_ms: int
    judged: int
    share: float


class PoolPoint(Struct, frozen=True, kw_only=True):
    """The size of the pool after a number of judged candidates."""

    at_ms: int
    judged: int
    size: int


class CostPoint(Struct, frozen=True, kw_only=True):
    """The cost of all calls up to a time, and the tasks finished by then. `unpriced` counts calls of unknown cost."""

    at_ms: int
    finished: int
    cost_usd: float
    unpriced: int


Points = list[RejectionPoint] | list[AcceptancePoint] | list[PoolPoint] | list[CostPoint]


class Bin(Struct, frozen=True, kw_only=True):
    """A column of a histogram: the number of values from `low` up to but without `high`."""

    low: float
    high: float
    count: int


class WordCount(Struct, frozen=True, kw_only=True):
    """The number of instructions that begin with a word."""

    word: str
    count: int


class Diversity(Struct, frozen=True, kw_only=True):
    """How much the accepted machine-written instructions differ.

    `seed_scores` is the histogram of the ROUGE-L of each to its nearest seed, as in the paper's figure; `words` is that
    of their lengths. `distinct_bigrams` is the share of different pairs of neighbouring words among all.
    """

    instructions: int
    seed_scores: tuple[Bin, ...]
    words: tuple[Bin, ...]
    first_words: tuple[WordCount, ...]
    bigrams: int
    distinct_bigrams: float | None
