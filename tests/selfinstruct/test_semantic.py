from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.selfinstruct.judging import Verdict, judge
from service.selfinstruct.recipe import ALPACA, SELF_INSTRUCT, Recipe, SemanticFilter
from service.selfinstruct.semantic import Meanings
from service.selfinstruct.similarity import SimilarityIndex
from service.selfinstruct.tasks import Candidate, Reason
from service.selfinstruct.vectors import DIMENSIONS, Neighbour, Vector, VectorIndex, as_text, from_text, quantised
from tests.fakes.embedders import BagOfWords

SEA = "Write a poem about the sea"
OCEAN = "Compose a verse on the ocean"
SORT = "Sort these numbers from small to large"


def vectors(seed: int, count: int, spread: int = 127) -> Vector:
    rng = np.random.default_rng(seed)
    return rng.integers(-spread, spread + 1, (count, DIMENSIONS), dtype=np.int8)


def index_of(rows: Vector) -> VectorIndex:
    index = VectorIndex()
    for place, row in enumerate(rows):
        assert index.add(row) == place
    return index


def brute_force(rows: Vector, asked: Vector) -> Neighbour | None:
    """Find the nearest vector with integers of any size and one division, which is exact."""
    query = [int(value) for value in asked]
    best = None
    for place, row in enumerate(rows.tolist()):
        dot = sum(one * other for one, other in zip(row, query, strict=True))
        squares = sum(each * each for each in row) * sum(each * each for each in query)
        score = dot / float(np.sqrt(squares)) if squares else 0.0
        if best is None or score > best.score:
            best = Neighbour(place, score)
    return best


def recipe_with(threshold: float | None) -> Recipe:
    return replace(SELF_INSTRUCT, semantic=SemanticFilter(threshold=threshold))


def candidates(*instructions: str) -> list[Candidate]:
    return [Candidate(position, instruction) for position, instruction in enumerate(instructions)]


def judged(recipe: Recipe, *instructions: str, meanings: Meanings | None = None) -> tuple[Verdict, ...]:
    return judge(recipe, candidates(*instructions), SimilarityIndex(recipe.filters.rouge_threshold), meanings)


def meanings() -> Meanings:
    return Meanings(BagOfWords(), VectorIndex().overlay())


@pytest.mark.parametrize("spread", [1, 3, 127])
def test_the_nearest_is_bit_equal_to_a_loop_over_integers(spread: int) -> None:
    rows = vectors(spread, 1_500, spread)
    index = index_of(rows)
    for asked in [*vectors(7, 6, spread), rows[0], rows[1_499], -rows[3], np.zeros(DIMENSIONS, np.int8)]:
        assert index.nearest(asked) == brute_force(rows, asked)


def test_the_first_of_equals_is_the_nearest_in_any_block() -> None:
    rows = vectors(1, 3_000)
    rows[2_999] = rows[1_030] = rows[1_025]
    assert index_of(rows).nearest(rows[1_025]) == Neighbour(1_025, 1.0)


def test_the_largest_products_are_counted_exactly() -> None:
    """A float32 is exact to 16.7 million. The largest product of two vectors is 6.2 million."""
    largest = np.full(DIMENSIONS, 127, np.int8)
    almost = largest.copy()
    almost[0] = 126
    assert index_of(np.stack([almost, -largest])).nearest(largest) == brute_force(almost[None], largest)


def test_nothing_is_nearest_in_an_empty_index() -> None:
    assert VectorIndex().nearest(vectors(0, 1)[0]) is None
    assert VectorIndex().overlay().nearest(vectors(0, 1)[0]) is None


@given(below=st.integers(0, 5), above=st.integers(0, 5), picks=st.integers(0, 2**32 - 1))
def test_an_index_and_its_overlay_are_like_one_index(below: int, above: int, picks: int) -> None:
    """There are few different rows, so many scores are equal."""
    rows = vectors(2, 3)[np.random.default_rng(picks).integers(0, 3, below + above)]
    whole, under = index_of(rows), index_of(rows[:below])
    overlay = under.overlay()
    assert [overlay.add(row) for row in rows[below:]] == list(range(below, below + above))
    for asked in vectors(2, 3):
        assert overlay.nearest(asked) == whole.nearest(asked)
    assert len(overlay) == len(whole)
    assert len(under) == below
    assert all(np.array_equal(overlay[place], row) for place, row in enumerate(rows))


def test_a_quantised_vector_keeps_its_direction() -> None:
    rng = np.random.default_rng(3)
    given_ = rng.normal(size=(50, DIMENSIONS)).astype(np.float32)
    found = quantised(given_)
    assert found.dtype == np.int8
    assert np.abs(found).max(axis=1).tolist() == [127] * 50
    for before, after in zip(given_, found.astype(np.float64), strict=True):
        assert before @ after / np.linalg.norm(before) / np.linalg.norm(after) > 0.9998
    assert not quantised(np.zeros((1, DIMENSIONS), np.float32)).any()


def test_a_vector_goes_through_text_unchanged() -> None:
    (vector,) = vectors(4, 1)
    assert np.array_equal(from_text(as_text(vector)), vector)


@pytest.mark.parametrize("text", ["", "AAAA", "not base64", as_text(vectors(4, 1)[0])[:-4]])
def test_an_invalid_vector_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a vector"):
        from_text(text)


def test_recipes_without_semantic_filter_keep_their_digests() -> None:
    """Runs are stamped with these digests."""
    assert (SELF_INSTRUCT.digest, ALPACA.digest) == ("2d28852cfbd0ab07", "00dde3543026dd60")


def test_every_semantic_filter_changes_the_digest() -> None:
    filters = (None, SemanticFilter(), SemanticFilter(threshold=0.9), SemanticFilter("other"))
    digests = {replace(SELF_INSTRUCT, semantic=each).digest for each in filters}
    assert len(digests) == len(filters)


def test_a_paraphrase_is_refused_if_the_recipe_has_a_threshold() -> None:
    first, second, third = judged(recipe_with(0.9), SEA, OCEAN, SORT, meanings=meanings())
    assert (first.reason, first.neighbour) == (None, None)
    assert (second.reason, second.nearest) == (Reason.SEMANTICALLY_SIMILAR, None)
    assert second.neighbour == Neighbour(0, 1.0)
    assert third.reason is None
    assert third.neighbour is not None
    assert third.neighbour.score < 0.5


def test_a_score_at_the_threshold_is_not_above_it() -> None:
    assert [verdict.reason for verdict in judged(recipe_with(1.0), SEA, OCEAN, meanings=meanings())] == [None, None]


def test_without_a_threshold_a_paraphrase_is_only_noted() -> None:
    _, second = judged(recipe_with(None), SEA, OCEAN, meanings=meanings())
    assert (second.reason, second.neighbour) == (None, Neighbour(0, 1.0))


def test_a_paraphrase_that_is_refused_enters_neither_pool() -> None:
    both = meanings()
    pool = SimilarityIndex(0.7)
    judge(recipe_with(0.9), candidates(SEA, OCEAN, SORT), pool, both)
    assert len(pool) == 2
    assert both.add("something else") == 2


def test_only_candidates_that_pass_other_filters_are_embedded() -> None:
    embedder = BagOfWords()
    found = judged(
        recipe_with(0.9),
        SEA,
        "Too short",
        f"{SEA}!",
        SORT,
        meanings=Meanings(embedder, VectorIndex().overlay()),
    )
    assert [verdict.reason for verdict in found] == [None, Reason.TOO_SHORT, Reason.TOO_SIMILAR, None]
    assert embedder.asked == [SEA, SORT]


@given(st.lists(st.lists(st.sampled_from(f"{SEA} {OCEAN} {SORT}".split()), max_size=9).map(" ".join), max_size=12))
def test_comparison_without_a_threshold_changes_no_verdict(instructions: list[str]) -> None:
    plain = judged(SELF_INSTRUCT, *instructions)
    noted = judged(recipe_with(None), *instructions, meanings=meanings())
    assert tuple(replace(verdict, neighbour=None) for verdict in noted) == plain
