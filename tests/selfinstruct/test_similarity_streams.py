"""Long streams through every part of the index, whose verdicts equal those of a loop."""

import math
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.selfinstruct.similarity import Match, SimilarityIndex
from tests.selfinstruct import reference

THRESHOLDS = [0.0, 0.3, 0.5, 2 / 3, 0.7, 0.9, 1.0]
# Small sizes, so that a stream of some hundred texts fills and merges segments many times.
TAIL = 16


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
    """Return a text of more than one block of 64 tokens, or about one, or of more than a posting's slack can tell."""
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
    pool = reference.Loop()
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
    pool = reference.Loop()
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
    pool = reference.Loop()
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
@pytest.mark.parametrize("tail", [0, 1_000])
def test_long_queries_find_the_shortest_text_above_the_threshold(threshold: float, tail: int) -> None:
    """The LCS is just long enough, or one token too short, and is at the end of the query."""
    for length in range(60, 400, 3):
        for shortest in range(math.floor(length * threshold / (2 - threshold)), length):
            if reference.f_measure(shortest, length, shortest) > threshold:
                break
        for size in (shortest - 1, shortest):
            text = " ".join(f"w{number}" for number in range(size))
            question = " ".join([*(f"x{number}" for number in range(length - size)), text])
            index = SimilarityIndex(threshold, tail)
            index.add(text)
            score = reference.f_measure(size, length, size)
            assert index.nearest(question) == (Match(0, score) if size == shortest else None), length


def test_an_index_can_have_more_than_65536_different_words() -> None:
    index = SimilarityIndex(0.7, tail=64)
    for start in range(0, 70_000, 500):
        index.add(" ".join(f"n{number}" for number in range(start, start + 500)))
    assert index.nearest(" ".join(f"n{number}" for number in range(69_500, 70_000))) == Match(139, 1.0)
    assert index.nearest(" ".join(f"n{number}" for number in range(65_200, 65_700))) is None
    index.add("n69000 n1 n69001")
    assert index.nearest("n69000 n1 n69001") == Match(140, 1.0)


def test_texts_of_more_than_65535_tokens_are_compared() -> None:
    texts = [" ".join(f"{start}n{number}" for number in range(size)) for start, size in ((0, 66_000), (1, 65_535))]
    for tail in (0, 10):
        index = SimilarityIndex(0.7, tail)
        for text in texts:
            index.add(text)
        assert index.nearest(texts[1]) == Match(1, 1.0)
        assert index.nearest(texts[0]) == Match(0, 1.0)
        assert index.nearest(f"{texts[0]} end") == Match(0, reference.f_measure(66_000, 66_001, 66_000))
        assert index.nearest(texts[0].rpartition(" ")[0]) == Match(0, reference.f_measure(65_999, 65_999, 66_000))


def test_the_memory_of_the_index_is_measured_and_small() -> None:
    rng = random.Random("memory")
    index = SimilarityIndex(0.7)
    for _ in range(20_000):
        index.add(" ".join(f"w{min(int(rng.paretovariate(0.6)), 30_000)}" for _ in range(20)))
    index.nearest("w1")
    assert 150 < index.nbytes / len(index) < 400


def test_a_rising_score_hides_no_tie_at_an_earlier_position() -> None:
    """The best text so far rules others out, but none that ties with it."""
    rng = random.Random("ties of the best")
    for tail in (0, 4, 1_000):
        index, pool = SimilarityIndex(0.5, tail), reference.Loop()
        for _ in range(300):
            words = [f"t{number}" for number in range(12)]
            for place in rng.sample(range(12), rng.randint(1, 3)):
                words[place] = rng.choice(["x", "y", ""])
            text = " ".join(words)
            assert index.nearest(text) == pool.nearest(text, 0.5), text
            index.add(text)
            pool.add(text)


def test_texts_are_added_while_another_thread_asks() -> None:
    rng = random.Random("threads")
    texts = list(stream(spread, rng, 6_000))
    index = SimilarityIndex(0.7, tail=64)
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(lambda: [index.nearest(text) for text in texts[:2_000]])
        for position, text in enumerate(texts):
            assert index.add(text) == position
        asked.result()
    pool = reference.Loop(texts)
    for text in rng.sample(texts, 30):
        assert index.nearest(text) == pool.nearest(text, 0.7)
