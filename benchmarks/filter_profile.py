"""The time of a query by stage, from `cProfile`, which inflates the cost of Python's own calls."""

import cProfile
import pstats
from collections.abc import Sequence

from service.selfinstruct.similarity import SimilarityIndex

# The functions that a query calls, by their stage. None of them calls another of these.
_STAGES = {
    "words and signature of the candidate": [("rouge.py", "tokenize"), ("vocabulary.py", "encode"), ("query.py", "of")],
    "choosing what to read of the lists": [("lists.py", "within_reach")],
    "reading postings": [("sieve.py", "pick")],
    "reading the newest texts": [("traits.py", "read")],
    "both signatures, both ways": [("traits.py", "left")],
    "fetching texts": [("texts.py", "at")],
    "LCS and scores": [("rouge.py", "scores")],
}
_WHOLE = ("index.py", "nearest")


def profile(index: SimilarityIndex, asked: Sequence[str]) -> dict[str, float]:
    """Return the share of each stage in the time of the queries, and the rest."""
    profiler = cProfile.Profile()
    profiler.enable()
    for text in asked:
        index.nearest(text)
    profiler.disable()
    taken = {
        (file.rpartition("/")[2], name): each[3]
        for (file, _, name), each in pstats.Stats(profiler).stats.items()  # type: ignore[attr-defined]
    }
    whole = taken[_WHOLE]
    shares = {stage: sum(taken.get(each, 0.0) for each in calls) / whole for stage, calls in _STAGES.items()}
    return {**shares, "the rest": 1 - sum(shares.values())}


def table(shares: dict[str, float]) -> str:
    """Return the shares as a table, the largest first."""
    rows = sorted(shares.items(), key=lambda each: -each[1])
    return "| of a question's time | share |\n|---|---:|\n" + "\n".join(
        f"| {name} | {each:.0%} |" for name, each in rows
    )
