import random
from collections.abc import Sequence
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.selfinstruct.similarity import FullScan, Match, SimilarityIndex
from tests.selfinstruct import reference

FEW_WORDS = st.lists(st.sampled_from(["the", "a", "b", "c", "The", "d-e", "...", "é"]), max_size=12).map(" ".join)
POOL = st.lists(st.text(max_size=20) | FEW_WORDS, max_size=14)


def surveys_of(texts: Sequence[str], count: int, workers: int = 1) -> list[FullScan]:
    index = SimilarityIndex(1.0)
    for text in texts:
        index.add(text)
    return list(chain.from_iterable(index.full_scans(count, workers)))


def expected(before: Sequence[str], text: str, count: int) -> FullScan:
    """Return the survey of a loop with rouge_score."""
    scores = [reference.score(text, known) for known in before]
    nearest = sorted(range(len(before)), key=lambda place: -scores[place])[:count]
    return FullScan(tuple(Match(place, scores[place]) for place in nearest), float(np.mean(scores)) if scores else 0.0)


def many_texts(count: int) -> list[str]:
    """Return texts of few words, so that many scores are equal. Some have more tokens than a machine word has bits."""
    rng = random.Random("surveys")
    words = [f"w{min(int(rng.paretovariate(0.7)), 200)}" for _ in range(2_000)]
    return [" ".join(rng.choices(words, k=rng.choice([0, 1, 3, 8, 15, 30, 70]))) for _ in range(count)]


@settings(deadline=None, max_examples=100)
@given(texts=POOL, count=st.integers(0, 16))
def test_surveys_of_earlier_texts_equal_a_loop_of_rouge_score(texts: list[str], count: int) -> None:
    assert surveys_of(texts, count) == [expected(texts[:place], text, count) for place, text in enumerate(texts)]


@pytest.mark.parametrize("workers", [1, -1])
def test_blocks_and_threads_change_nothing(workers: int) -> None:
    texts = many_texts(700)
    index = SimilarityIndex(1.0)
    alone = []
    for text in texts:
        alone.append(index.full_scan(text, 10))
        index.add(text)
    assert surveys_of(texts, 10, workers) == alone


def test_means_of_many_texts_equal_numpy_in_pool_order() -> None:
    texts = many_texts(300)
    full_scans = surveys_of(texts, 10)
    for place in (299, 257, 256, 255, 130, 8):
        assert full_scans[place] == expected(texts[:place], texts[place], 10)
