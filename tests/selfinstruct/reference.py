"""ROUGE-L from the package rouge_score, the slow reference for the product's own."""

from collections.abc import Sequence

from rouge_score.rouge_scorer import RougeScorer

from service.selfinstruct.similarity import Match

_SCORER = RougeScorer(["rougeL"], use_stemmer=False)


def score(one: str, other: str) -> float:
    fmeasure: float = _SCORER.score(one, other)["rougeL"].fmeasure
    return fmeasure


def nearest_above(pool: Sequence[str], text: str, threshold: float) -> Match | None:
    scores = [score(text, known) for known in pool]
    best = max(scores, default=0.0)
    return Match(scores.index(best), best) if best > threshold else None
