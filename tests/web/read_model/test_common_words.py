"""The words that two texts have in common, marked in both."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.selfinstruct.recipe import Language
from service.selfinstruct.similarity import TOKENIZERS, SimilarityIndex
from service.web.read_model.answers import Span
from service.web.read_model.common_words import MOST_WORDS, common_words


def marked(text: str, spans: tuple[Span, ...]) -> list[str]:
    return [text[span.start : span.end] for span in spans]


@pytest.mark.parametrize(
    ("language", "one", "other", "in_one", "in_other"),
    [
        (Language.EN, "Write a Poem!", "write the poem", ["Write", "Poem"], ["write", "poem"]),
        (Language.EN, "one two", "two one", ["two"], ["two"]),
        (Language.EN, "İ x1", "x1 İ", ["x1"], ["x1"]),
        (Language.EN, "😀 go", "go 😀", ["go"], ["go"]),
        (Language.EN, "", "a", [], []),
        (Language.ANY, "Über ÉTÉ", "über été", ["Über", "ÉTÉ"], ["über", "été"]),
        (Language.ANY, "写一首诗", "写诗", ["写", "诗"], ["写", "诗"]),
        (Language.ANY, "नमस्ते दुनिया", "दुनिया", ["दुनिया"], ["दुनिया"]),
        (Language.ANY, "foo-bar", "bar", ["bar"], ["bar"]),
    ],
)
def test_common_words_are_marked(
    language: Language, one: str, other: str, in_one: list[str], in_other: list[str]
) -> None:
    ones, others = common_words(language, one, other)
    assert (marked(one, ones), marked(other, others)) == (in_one, in_other)


@pytest.mark.parametrize("language", list(Language))
@given(one=st.text(max_size=40), other=st.text(max_size=40))
def test_the_marks_explain_the_score(language: Language, one: str, other: str) -> None:
    tokenizer = TOKENIZERS[language]
    ones, others = common_words(language, one, other)
    if language is Language.EN:
        total = len(tokenizer.tokens(one)) + len(tokenizer.tokens(other))
        index = SimilarityIndex(1.0, tokenizer=tokenizer)
        index.add(other)
        assert index.score(one, 0) == pytest.approx(2 * len(ones) / total if total and ones else 0.0)
    assert len(ones) == len(others)
    for spans, text in ((ones, one), (others, other)):
        assert all(0 <= span.start < span.end <= len(text) for span in spans)
        assert list(spans) == sorted(spans, key=lambda span: span.start)


def test_long_texts_are_marked_at_their_beginning() -> None:
    text = " ".join(f"w{number}" for number in range(2 * MOST_WORDS))
    assert len(common_words(Language.EN, text, text)[0]) == MOST_WORDS
