# ruff: noqa: RUF001 - letters of many scripts look like Latin ones
"""Words in any script."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.selfinstruct.similarity import ROUGE, UNICODE
from service.selfinstruct.unicode_words import count_words, holds_phrase, is_mid_sentence_mark, separated


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't stop: 3 rivers, e.g. snake_case!", ["don", "t", "stop", "3", "rivers", "e", "g", "snake", "case"]),
        ("Объясните, почему МОРЕ солёное.", ["объясните", "почему", "море", "солёное"]),
        ("写一首 Python 诗。", ["写", "一", "首", "python", "诗"]),
        ("Python列表ok", ["python", "列", "表", "ok"]),
        ("東京タワーへ行く", ["東", "京", "タ", "ワ", "ー", "へ", "行", "く"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("ភាសាខ្មែរ", ["ភា", "សា", "ខ្", "មែ", "រ"]),
        ("한국어로 시를", ["한국어로", "시를"]),
        ("हिन्दी में लिखो", ["हिन्दी", "में", "लिखो"]),
        ("بنویس می\u200cخواهم", ["بنویس", "میخواهم"]),
        ("İYİ iyi IŞIK ışık", ["iyi", "iyi", "işik", "işik"]),
        ("Straße STRASSE ﬁle ＡＢＣ１２", ["strasse", "strasse", "file", "abc12"]),
        ("ΟΔΟΣ οδός οδος", ["οδοσ", "οδόσ", "οδοσ"]),
        ("cafe\u0301 café", ["café", "café"]),
        ("x\u00adyz ❤\ufe0f 😀 …", ["xyz"]),
        ("\ud800 lone", ["lone"]),
        ("", []),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert separated(text).split() == words
    assert UNICODE.tokens(text) == words


@settings(deadline=None)
@given(text=st.text(alphabet=st.characters(max_codepoint=0x7F, exclude_characters="")))
def test_words_of_ascii_are_those_of_rouge(text: str) -> None:
    assert UNICODE.tokens(text) == ROUGE.tokens(text)


@settings(deadline=None, max_examples=50)
@given(text=st.text())
def test_every_word_is_made_of_letters_marks_and_digits(text: str) -> None:
    for word in UNICODE.tokens(text):
        assert {unicodedata.category(character)[0] for character in word} <= set("LMN")
    assert UNICODE.tokens(" ".join(UNICODE.tokens(text))) == UNICODE.tokens(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Name three rivers, please.", 4),
        ("Üç çeşit çay say.", 4),
        ("列出三种中国", 4),
        ("列出三种中国茶和 Python", 8 * 2 / 3 + 1),
        ("なまえを", 4 / 3),
        ("ยกตัวอย่างแม่น้ำ", 12 / 4),
        ("강의 이름을", 3),
        ("…", 0),
    ],
)
def test_a_character_without_spaces_is_a_part_of_a_word(text: str, count: float) -> None:
    assert count_words(text) == pytest.approx(count)


@pytest.mark.parametrize(
    ("text", "phrase", "is_held"),
    [
        ("Open the File, then", "file", True),
        ("Name the filename", "file", False),
        ("打开这个文件吧", "文件", True),
        ("打开文章", "文件", False),
        ("Написать ФАЙЛ", "файл", True),
        ("Написать файлы", "файл", False),
        ("हिन्दी", "हिन्द", False),
        ("Use C++ here", "c++", True),
        ("Use C here", "c++", False),
        ("please go to the shop", "go to", True),
        ("ago today", "go to", False),
        ("a § b", "§", True),
        ("İSTANBUL'da", "istanbul", True),
    ],
)
def test_a_phrase_is_found_as_whole_words(text: str, phrase: str, *, is_held: bool) -> None:
    assert holds_phrase(text, phrase) is is_held


@pytest.mark.parametrize("opening", "Aé请「«《¿¡”（0😀")
def test_a_text_may_begin_with_a_letter_or_an_opening_mark(opening: str) -> None:
    assert not is_mid_sentence_mark(opening)


@pytest.mark.parametrize("opening", "。，、—）•…：；！？،")
def test_no_text_begins_with_the_mark_of_an_end(opening: str) -> None:
    assert is_mid_sentence_mark(opening)
