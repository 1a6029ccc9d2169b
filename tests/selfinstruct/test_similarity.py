import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.selfinstruct.similarity import FullScan, Match, SimilarityIndex, Tokenizer
from tests.selfinstruct import reference

FEW_WORDS = st.lists(st.sampled_from(["the", "a", "b", "c", "The", "d-e", "...", "é"]), max_size=12).map(" ".join)
ANY_TEXT = st.text(max_size=20) | FEW_WORDS
POOL = st.lists(ANY_TEXT, max_size=12)
THRESHOLD = st.sampled_from([0.0, 0.3, 0.5, 2 / 3, 0.7, 0.8, 0.9, 1.0])


def index_of(*texts: str, threshold: float = 0.7) -> SimilarityIndex:
    index = SimilarityIndex(threshold)
    for text in texts:
        index.add(text)
    return index


def pair_with(lcs: int, ours: int, theirs: int) -> tuple[str, str]:
    """Return two texts with these token counts, whose longest common subsequence has `lcs` tokens."""
    common = [f"c{number}" for number in range(lcs)]
    one = [f"x{number}" for number in range(ours - lcs)]
    other = [f"y{number}" for number in range(theirs - lcs)]
    half = lcs // 2
    return " ".join(common[:half] + one + common[half:]), " ".join(other + common)


def ties(limit: int) -> Iterator[tuple[int, int, int]]:
    """Yield every (m, n, LCS) up to `limit` tokens whose F-measure 2 LCS / (m + n) is 7 / 10 exactly."""
    for ours in range(1, limit + 1):
        for theirs in range(1, limit + 1):
            lcs, rest = divmod(7 * (ours + theirs), 20)
            if rest == 0 and lcs <= min(ours, theirs):
                yield ours, theirs, lcs


def test_every_tie_at_0_7_is_judged_like_rouge_score() -> None:
    judged = {True: 0, False: 0}
    for ours, theirs, lcs in ties(60):
        one, other = pair_with(lcs, ours, theirs)
        expected = reference.score(one, other)
        above = expected > 0.7
        assert index_of(other).score(one, 0) == expected
        assert index_of(other).nearest(one) == (Match(0, expected) if above else None)
        judged[above] += 1
    assert min(judged.values()) >= 20


def test_one_common_token_more_or_less_than_a_tie_is_decisive() -> None:
    for ours, theirs, lcs in ties(60):
        fewer, _ = pair_with(lcs - 1, ours, theirs)
        assert index_of(pair_with(lcs - 1, ours, theirs)[1]).nearest(fewer) is None
        if lcs < min(ours, theirs):
            more, other = pair_with(lcs + 1, ours, theirs)
            assert index_of(other).nearest(more) is not None


@settings(deadline=None, max_examples=120)
@given(one=ANY_TEXT, other=ANY_TEXT)
@example(one="", other="")
@example(one="", other="word")
@example(one="!?", other="...")
@example(one="\u212aelvin", other="kelvin")
@example(one="a a a a", other="a")
@example(one="naïve café", other="na ve caf")
@example(one="\ud800 lone", other="lone")
def test_scores_are_bit_equal_with_rouge_score(one: str, other: str) -> None:
    assert index_of(other).score(one, 0) == index_of(one).score(other, 0) == reference.score(one, other)


@settings(deadline=None, max_examples=150)
@given(pool=POOL, text=ANY_TEXT, threshold=THRESHOLD)
@example(pool=["the the the the the the the", "the"], text="the the the the", threshold=0.3)
@example(pool=["x y z"], text="u v w", threshold=0.0)
@example(pool=["", "!"], text="?", threshold=0.0)
@example(pool=["b a", "a b", "a b"], text="a b", threshold=0.7)
def test_the_nearest_equals_that_of_a_loop_with_rouge_score(pool: list[str], text: str, threshold: float) -> None:
    assert index_of(*pool, threshold=threshold).nearest(text) == reference.nearest_above(pool, text, threshold)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.7, 0.9])
def test_variants_of_long_texts_are_found_like_the_loop_does(threshold: float) -> None:
    rng = random.Random(f"variants {threshold}")
    words = [f"w{min(int(rng.paretovariate(0.6)), 400)}" for _ in range(3000)]
    pool: list[str] = []
    index = SimilarityIndex(threshold)
    for _ in range(50):
        text = variant(rng, rng.choice(pool), words) if pool and rng.random() < 0.7 else fresh(rng, words)
        assert index.nearest(text) == reference.nearest_above(pool, text, threshold)
        assert index.add(text) == len(pool)
        pool.append(text)


def fresh(rng: random.Random, words: list[str]) -> str:
    return " ".join(rng.choices(words, k=rng.randint(1, 45)))


def variant(rng: random.Random, text: str, words: list[str]) -> str:
    share = rng.uniform(0.0, 0.4)
    changed = (rng.choice([word, rng.choice(words), ""]) if rng.random() < share else word for word in text.split())
    return " ".join(changed)


def test_a_score_must_lie_strictly_above_the_threshold() -> None:
    assert index_of("one two", threshold=0.5).nearest("one three") is None
    assert index_of("one two", threshold=0.4999).nearest("one three") == Match(0, 0.5)
    assert index_of("one two", threshold=1.0).nearest("one two") is None


def test_the_first_of_equally_near_texts_is_named() -> None:
    assert index_of("z", "a b c d", "a b c e", "a b c d").nearest("a b c d") == Match(1, 1.0)


def test_two_unknown_words_are_not_alike() -> None:
    index = index_of("alpha beta gamma", threshold=0.0)
    assert index.nearest("delta epsilon zeta") is None
    assert index.nearest("delta delta gamma") == Match(0, reference.score("delta delta gamma", "alpha beta gamma"))


def test_queries_do_not_change_the_index() -> None:
    index = index_of("alpha beta", threshold=0.4)
    for _ in range(2):
        assert index.nearest("alpha delta") == Match(0, 0.5)
        assert index.full_scan("delta", 5) == FullScan((Match(0, 0.0),), 0.0)
    assert len(index) == 1
    assert index.add("delta") == 1


def test_an_empty_index_has_nothing_near() -> None:
    assert SimilarityIndex(0.0).nearest("a b c") is None
    assert SimilarityIndex(0.7).full_scan("a b c", 10) == FullScan((), 0.0)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_outside_zero_to_one_is_an_error(threshold: float) -> None:
    with pytest.raises(ValueError, match=r"threshold lies in 0 … 1"):
        SimilarityIndex(threshold)


@settings(deadline=None, max_examples=50)
@given(pool=st.lists(ANY_TEXT, min_size=1, max_size=12), text=ANY_TEXT, count=st.integers(0, 15))
def test_a_survey_equals_the_original_s_stored_neighbours(pool: list[str], text: str, count: int) -> None:
    scores = [reference.score(text, known) for known in pool]
    nearest = sorted(range(len(pool)), key=lambda place: -scores[place])[:count]
    expected = FullScan(tuple(Match(place, scores[place]) for place in nearest), float(np.mean(scores)))
    assert index_of(*pool).full_scan(text, count) == expected


@settings(deadline=None, max_examples=50)
@given(below=POOL, above=POOL, text=ANY_TEXT, threshold=THRESHOLD)
def test_an_overlay_answers_as_one_index_of_all_its_texts(
    below: list[str], above: list[str], text: str, threshold: float
) -> None:
    index = index_of(*below, threshold=threshold)
    overlay = index.overlay()
    assert [overlay.add(added) for added in above] == list(range(len(below), len(below) + len(above)))
    assert overlay.nearest(text) == index_of(*below, *above, threshold=threshold).nearest(text)
    assert len(overlay) == len(below) + len(above)
    assert len(index) == len(below)


def test_an_overlay_compares_words_that_the_index_never_saw() -> None:
    overlay = index_of("alpha beta", threshold=0.0).overlay()
    overlay.add("new words here")
    assert overlay.nearest("new words there") == Match(1, reference.score("new words there", "new words here"))
    assert overlay.nearest("other things yonder") is None


def test_the_texts_of_an_overlay_are_gone_with_it() -> None:
    index = index_of("alpha beta", threshold=0.0)
    index.overlay().add("new words here")
    assert index.nearest("new words here") is None
    assert index.overlay().nearest("new words here") is None


def test_a_text_of_thousands_of_tokens_is_compared() -> None:
    long = " ".join(f"t{number}" for number in range(5000))
    index = index_of("t1 t2", long)
    assert index.nearest(f"{long} end") == Match(1, 2 * 5000 / 5001 * 1.0 / (5000 / 5001 + 1.0))


def test_a_score_with_a_text_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        index_of("alpha beta").score("alpha", 1)


def test_a_tokenizer_may_join_tokens_of_its_own() -> None:
    characters = Tokenizer(
        lambda text: "\n".join(text).encode(), bytes(byte for byte in range(256) if byte != ord("\n"))
    )
    index = SimilarityIndex(0.5, tokenizer=characters)
    index.add("春眠不覚暁")
    assert index.nearest("春眠覚暁") == Match(0, reference.f_measure(4, 4, 5))
    overlay = index.overlay()
    overlay.add("処処聞啼鳥")
    assert overlay.nearest("処処聞鳥") == Match(1, reference.f_measure(4, 4, 5))
