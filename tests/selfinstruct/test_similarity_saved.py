"""Texts and words of an index outside of it: what is loaded answers as what was saved, and damage is refused."""

import random
from array import array
from dataclasses import fields, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.tokenize import tokenize

from service.selfinstruct.similarity import ROUGE, Encoded, SimilarityIndex

TEXTS = st.lists(st.text(max_size=30), max_size=8)


def index_of(*texts: str) -> SimilarityIndex:
    index = SimilarityIndex(0.3)
    for text in texts:
        index.add(text)
    return index


def decoded(encoded: Encoded) -> list[list[str]]:
    """Return the tokens of the texts, none of which has a word beyond the first 61,440."""
    known = [word.tobytes().decode() for word in split(encoded.words, encoded.word_ends)]
    return [[known[unit] for unit in text] for text in split(encoded.units, encoded.ends)]


def split(joined: memoryview, ends: memoryview) -> list[memoryview]:
    return [joined[start:end] for start, end in pairwise([0, *ends])]


@given(texts=TEXTS)
@settings(deadline=None)
def test_the_tokens_are_those_of_rouge_score(texts: list[str]) -> None:
    expected = [tokenize(text, None) for text in texts]
    assert decoded(index_of(*texts).encoded()) == [ROUGE.tokens(text) for text in texts] == expected


@given(first=TEXTS, then=TEXTS, asked=st.text(max_size=30))
@settings(deadline=None)
def test_an_index_is_loaded_in_parts_as_it_grew(first: list[str], then: list[str], asked: str) -> None:
    index = index_of(*first)
    parts = [index.encoded()]
    seen = len(index), index.words
    for text in then:
        index.add(text)
    parts.append(index.encoded(*seen))
    loaded = SimilarityIndex(0.3)
    for part in parts:
        loaded.load(part)
    assert (len(loaded), loaded.words) == (len(index), index.words)
    assert loaded.full_scan(asked, 9) == index.full_scan(asked, 9)
    assert loaded.nearest(asked) == index.nearest(asked)
    assert loaded.add("more") == len(index)


def test_words_beyond_the_first_61440_are_saved_and_loaded() -> None:
    texts = [" ".join(f"n{number}" for number in range(start, start + 700)) for start in range(0, 70_000, 700)]
    loaded = SimilarityIndex(0.7, tail=10)
    loaded.load(index_of(*texts).encoded())
    for place in (0, 50, 88, 99):
        found = loaded.nearest(texts[place])
        assert found is not None
        assert (found.position, found.score) == (place, 1.0)


def test_a_part_that_begins_beyond_the_end_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        index_of("one two").encoded(2, 0)
    with pytest.raises(ValueError, match="does not fit"):
        index_of("one two").encoded(0, 3)


def test_texts_without_their_words_are_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        SimilarityIndex(0.7).load(index_of("one two", "three").encoded(1, 3))


def test_arrays_of_another_kind_are_refused() -> None:
    encoded = index_of("one two").encoded()
    others = [encoded.words.cast("b"), encoded.words[::2], encoded.words.cast("B", [2, len(encoded.words) // 2])]
    for other in others:
        with pytest.raises(ValueError, match="expected a plain array of type B"):
            SimilarityIndex(0.7).load(replace(encoded, words=other))


@given(seed=st.integers(0, 1 << 32))
@settings(deadline=None, max_examples=300)
def test_damaged_arrays_are_refused_or_loaded_whole(seed: int) -> None:
    """Any change of the arrays ends in an error, or in an index that answers; it never ends the process."""
    rng = random.Random(seed)
    encoded = index_of("one two three", "", "two four " * 40, "five").encoded()
    name = rng.choice(fields(Encoded)).name
    view = getattr(encoded, name)
    numbers = array(view.format, view)
    if rng.random() < 0.3:
        del numbers[rng.randrange(len(numbers)) :]
    else:
        numbers[rng.randrange(len(numbers))] = rng.choice([0, 1, rng.randrange(1 << 8 * numbers.itemsize)])
    index = SimilarityIndex(0.3, tail=rng.choice([0, 9]))
    try:
        index.load(replace(encoded, **{name: memoryview(numbers)}))
    except ValueError:
        return
    assert len(index.full_scan("one two", 9).matches) == len(index)
    index.nearest("two four five")
