"""Long streams through every part of the index, whose verdicts equal those of a loop."""

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import LCSseq
from rouge_score.tokenize import tokenize as rouge_scores_tokens

from service.selfinstruct.similarity import Match, SimilarityIndex, rouge_l, tokenize
from service.selfinstruct.similarity.bounds import Bounds
from service.selfinstruct.similarity.rouge import scores
from service.selfinstruct.similarity.vocabulary import Vocabulary
from tests.selfinstruct import reference

THRESHOLDS = [0.0, 0.3, 0.5, 2 / 3, 0.7, 0.9, 1.0]
# Small sizes, so that a stream of some hundred texts fills and merges segments many times.
TAIL = 16


class Loop:
    """The pool as a list, and a loop over it with `scores`, which is tested against the package rouge_score."""

    def __init__(self) -> None:
        self._vocabulary = Vocabulary()
        self._pool: list[str] = []

    def __len__(self) -> int:
        return len(self._pool)

    def add(self, text: str) -> None:
        self._pool.append(self._vocabulary.learn(tokenize(text)))

    def nearest(self, text: str, threshold: float, since: int = 0) -> Match | None:
        query = self._vocabulary.learn(tokenize(text))
        if since >= len(self._pool):
            return None
        found = scores(query, self._pool[since:])
        best = int(found.argmax())
        return Match(best + since, float(found[best])) if found[best] > threshold else None


def repeats(rng: random.Random) -> str:
    """Return a text that repeats one word, with some other words between."""
    return " ".join(rng.choices(["the", "of", "to"], [8, 1, 1], k=rng.randint(1, 40)))


def tiny(rng: random.Random) -> str:
    return " ".join(rng.choices([f"w{number}" for number in range(9)], k=rng.randint(0, 3)))


def one_word_in_common(rng: random.Random) -> str:
    return " ".join(["common", *(f"r{rng.randrange(10_000)}" for _ in range(rng.randint(0, 3)))])


def ties(rng: random.Random) -> str:
    """Return a text of ten tokens. Two such texts share about 7: their scores are 0.7 and one step beside it."""
    words = [f"t{number}" for number in range(10)]
    for place in rng.sample(range(10), 3):
        words[place] = f"x{rng.randrange(4)}"
    return " ".join(words)


def long(rng: random.Random) -> str:
    """Return a text whose length and positions exceed the byte that a posting stores for them."""
    size = rng.choice([50, 63, 64, 65, 100, 200, 254, 255, 256, 400])
    start = rng.randrange(6)
    return " ".join(f"l{number % (size // rng.choice([1, 1, 2]))}" for number in range(start, start + size))


def mixed(rng: random.Random) -> str:
    return rng.choice([repeats, tiny, one_word_in_common, ties, spread, spread])(rng)


def spread(rng: random.Random) -> str:
    return " ".join(f"w{min(int(rng.paretovariate(0.6)), 300)}" for _ in range(rng.randint(1, 30)))


def stream(kind: Callable[[random.Random], str], rng: random.Random, count: int) -> Iterator[str]:
    """Yield fresh texts, and variations of earlier ones."""
    before: list[str] = []
    for _ in range(count):
        text = kind(rng)
        if before and rng.random() < 0.4:
            share = rng.uniform(0.0, 0.5)
            words = rng.choice(before).split()
            text = " ".join(rng.choice(words) if rng.random() < share else word for word in words)
        before.append(text)
        yield text


@pytest.mark.parametrize("kind", [repeats, tiny, one_word_in_common, ties, long, mixed])
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_streams_are_judged_like_a_loop(kind: Callable[[random.Random], str], threshold: float) -> None:
    rng = random.Random(f"{kind.__name__} {threshold}")
    index = SimilarityIndex(threshold, tail=TAIL)
    pool = Loop()
    for text in stream(kind, rng, 120 if kind is long else 200):
        assert index.nearest(text) == pool.nearest(text, threshold), text
        if rng.random() < 0.9:
            index.add(text)
            pool.add(text)


@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_a_stream_is_judged_like_rouge_score(threshold: float) -> None:
    rng = random.Random(f"rouge_score {threshold}")
    index = SimilarityIndex(threshold, tail=TAIL)
    pool: list[str] = []
    for text in stream(mixed, rng, 120):
        nearest = index.nearest(text)
        assert nearest == reference.nearest_above(pool, text, threshold)
        if nearest is None:
            index.add(text)
            pool.append(text)


def test_a_query_from_a_position_ignores_earlier_texts() -> None:
    rng = random.Random("since")
    index = SimilarityIndex(0.5, tail=TAIL)
    pool = Loop()
    for text in stream(mixed, rng, 200):
        since = rng.randint(0, len(pool) + 1)
        assert index.nearest(text, since) == pool.nearest(text, 0.5, since)
        index.add(text)
        pool.add(text)


def test_the_sizes_of_tail_and_segments_change_no_answer() -> None:
    rng = random.Random("sizes")
    texts = list(stream(mixed, rng, 300))
    answers = []
    for tail in (1, 7, 64, 1000):
        index = SimilarityIndex(0.6, tail=tail)
        found = []
        for text in texts:
            found.append(index.nearest(text))
            index.add(text)
        answers.append(found)
    assert all(each == answers[0] for each in answers)
    assert None in answers[0]


@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_long_posting_lists_are_read_in_part_with_equal_answers(threshold: float) -> None:
    """With thirty words in eight thousand texts of up to sixty words, most lists are long, in many bands of length."""
    rng = random.Random(f"lists {threshold}")
    index = SimilarityIndex(threshold, tail=64)
    pool = Loop()
    texts = [
        " ".join(f"w{min(int(rng.paretovariate(0.5)), 30)}" for _ in range(min(int(rng.paretovariate(0.6)), 60)))
        for _ in range(8_000)
    ]
    for text in texts:
        index.add(text)
        pool.add(text)
    for _ in range(400):
        words = rng.choice(texts).split() + rng.choice(texts).split()[:2]
        query = " ".join(rng.choice([word, word, word, f"w{rng.randrange(40)}", ""]) for word in words)
        assert index.nearest(query) == pool.nearest(query, threshold), query


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
def test_long_queries_find_the_shortest_text_above_the_threshold(threshold: float) -> None:
    """The LCS is just long enough, and is at the end of the query, where a cut-off inside rapidfuzz misses it."""
    bounds = Bounds(threshold)
    for length in range(60, 400, 3):
        shortest = bounds.shortest(length)
        text = " ".join(f"w{number}" for number in range(shortest))
        question = " ".join([*(f"x{number}" for number in range(length - shortest)), text])
        index = SimilarityIndex(threshold)
        index.add(text)
        score = index.score(question, 0)
        assert index.nearest(question) == (Match(0, score) if score > threshold else None), length
        assert score == pytest.approx(2 * shortest / (length + shortest))


def test_a_text_that_cannot_be_added_changes_nothing() -> None:
    index = SimilarityIndex(0.7)
    index.add("one two three")
    lengths = index._texts.lengths  # noqa: SLF001 - what a question that failed may have left behind
    with pytest.raises(BufferError):
        index.add("four five six")
    del lengths
    index.add("seven eight nine")
    assert index.nearest("one two three") == Match(0, 1.0)
    assert index.nearest("four five six") is None
    assert index.nearest("seven eight nine") == Match(1, 1.0)


def test_a_failed_query_can_be_repeated() -> None:
    """A query that ran out of memory during the indexing of texts may leave views of the arrays behind."""
    words = [f"w{number}" for number in range(80)]
    index = SimilarityIndex(0.7, tail=4)
    for held in ("_loads", "_absent", "_long"):
        for text in (f"{held} one", f"{held} two three", " ".join([held, *words])):
            assert index.nearest(text) is None
            view = _view_of(index, held)
            position = index.add(text)
            with pytest.raises(BufferError):
                index.nearest(text)
            del view
            assert index.nearest(text) == Match(position, 1.0)
        words = [f"{held}{word}" for word in words]


def _view_of(index: SimilarityIndex, held: str) -> memoryview:
    own = index._signatures  # noqa: SLF001 - the arrays that a question has views of
    each = {"_loads": own._loads, "_absent": own._absent[-1], "_long": own._long._rows}  # noqa: SLF001
    return memoryview(each[held])


def test_an_index_can_have_more_than_65536_different_words() -> None:
    index = SimilarityIndex(0.7, tail=64)
    for start in range(0, 70_000, 500):
        index.add(" ".join(f"n{number}" for number in range(start, start + 500)))
    assert index.nearest(" ".join(f"n{number}" for number in range(69_500, 70_000))) == Match(139, 1.0)
    assert index.nearest(" ".join(f"n{number}" for number in range(65_200, 65_700))) is None
    index.add("n69000 n1 n69001")
    assert index.nearest("n69000 n1 n69001") == Match(140, 1.0)


def test_the_memory_of_the_index_is_measured_and_small() -> None:
    rng = random.Random("memory")
    index = SimilarityIndex(0.7)
    for _ in range(20_000):
        index.add(" ".join(f"w{min(int(rng.paretovariate(0.6)), 30_000)}" for _ in range(20)))
    index.nearest("w1")
    assert 200 < index.nbytes / len(index) < 400


@given(st.text(max_size=60))
@settings(deadline=None)
def test_tokens_equal_those_of_rouge_score(text: str) -> None:
    assert tokenize(text) == rouge_scores_tokens(text, None)


@given(one=st.lists(st.sampled_from("abcd"), max_size=30), other=st.lists(st.sampled_from("abcd"), max_size=30))
@settings(deadline=None)
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_bounds_never_exclude_a_text_above_the_threshold(one: list[str], other: list[str], threshold: float) -> None:
    if not rouge_l(one, other) > threshold:
        return
    bounds, common = Bounds(threshold), LCSseq.similarity(one, other)
    assert common >= bounds.needed(len(one) + len(other)) >= bounds.of(len(one)).fewest
    assert len(other) >= bounds.shortest(len(one))
    order = sorted(one), sorted(other)
    shared = set(order[0][: bounds.prefix(len(one))]) & set(order[1][: bounds.prefix(len(other))])
    assert shared
