"""ROUGE-L from the package rouge_score, the reference for the product's own, and a faster loop by rapidfuzz."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from rapidfuzz import process
from rapidfuzz.distance import LCSseq
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenize import tokenize

from service.selfinstruct.recipe import Language
from service.selfinstruct.similarity import UNICODE, Match


class _AnyWords:
    """The words of any language, as `rouge_score` takes a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return UNICODE.tokens(text)


_SCORERS = {
    Language.EN: RougeScorer(["rougeL"], use_stemmer=False),
    Language.ANY: RougeScorer(["rougeL"], tokenizer=_AnyWords()),
}


def score(one: str, other: str, language: Language = Language.EN) -> float:
    fmeasure: float = _SCORERS[language].score(one, other)["rougeL"].fmeasure
    return fmeasure


def words_of(language: Language) -> Callable[[str], list[str]]:
    return UNICODE.tokens if language is Language.ANY else partial(tokenize, stemmer=None)


def scorer_of(language: Language) -> Callable[[str, str], float]:
    return partial(score, language=language)


def f_measure(lcs: int, one: int, other: int) -> float:
    """Return the F-measure of texts of these lengths, with the operations of `rouge_scorer._score_lcs`."""
    if not lcs:
        return 0.0
    precision, recall = lcs / one, lcs / other
    return 2 * precision * recall / (precision + recall)


class Loop:
    """The pool as a list, its tokens as characters, and a loop over it by rapidfuzz."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._characters: dict[str, str] = {}
        self._pool: list[str] = []
        for text in texts:
            self.add(text)

    def __len__(self) -> int:
        return len(self._pool)

    def add(self, text: str) -> None:
        self._pool.append(self._encoded(text))

    def nearest(self, text: str, threshold: float, since: int = 0) -> Match | None:
        query = self._encoded(text)
        lcs = (
            process.cdist([query], self._pool[since:], scorer=LCSseq.similarity)[0].tolist()
            if self._pool[since:]
            else []
        )
        scores = [f_measure(each, len(query), len(known)) for each, known in zip(lcs, self._pool[since:], strict=True)]
        best = max(scores, default=0.0)
        return Match(scores.index(best) + since, best) if best > threshold else None

    def _encoded(self, text: str) -> str:
        return "".join(
            self._characters.setdefault(token, chr(1 + len(self._characters))) for token in tokenize(text, None)
        )


def nearest_above(pool: Sequence[str], text: str, threshold: float) -> Match | None:
    scores = [score(text, known) for known in pool]
    best = max(scores, default=0.0)
    return Match(scores.index(best), best) if best > threshold else None
