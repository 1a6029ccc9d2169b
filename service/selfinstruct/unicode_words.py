"""Words of a text in any language: runs of letters, marks and digits; in scripts without spaces, single characters.

Case, width and other variants of a character are equal (NFKC and case folding), and so are the dotted and the dotless
i, whose case depends on the language. Invisible characters, such as the non-joiner of Persian, are left out.
"""

import unicodedata
from bisect import bisect_right

# A word in parts, so that a sum of words is exact.
_WORD = 12
# The parts of a word that a character counts for, with its marks: scripts that are written without spaces, by their
# first and last character. Translations of the Universal Declaration of Human Rights have, for each word of the English
# one, 1.45 characters in Chinese, 1.67 in Yi, 2.2 in Japanese (half of them Han), 3.4 to 4.4 in the other scripts.
_HAN, _KANA, _SOUTH_EAST_ASIAN = 8, 4, 3
_WITHOUT_SPACES = (
    (0x0E00, 0x0E7F, _SOUTH_EAST_ASIAN),  # Thai
    (0x0E80, 0x0EFF, _SOUTH_EAST_ASIAN),  # Lao
    (0x1000, 0x109F, _SOUTH_EAST_ASIAN),  # Myanmar
    (0x1780, 0x17FF, _SOUTH_EAST_ASIAN),  # Khmer
    (0x1950, 0x19DF, _SOUTH_EAST_ASIAN),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF, _SOUTH_EAST_ASIAN),  # Tai Tham
    (0x1B00, 0x1B7F, _SOUTH_EAST_ASIAN),  # Balinese
    (0x3005, 0x3007, _HAN),  # iteration mark, zero
    (0x3040, 0x30FF, _KANA),  # Hiragana, Katakana
    (0x3100, 0x312F, _KANA),  # Bopomofo
    (0x31A0, 0x31BF, _KANA),  # Bopomofo
    (0x31F0, 0x31FF, _KANA),  # Katakana
    (0x3400, 0x4DBF, _HAN),
    (0x4E00, 0x9FFF, _HAN),
    (0xA000, 0xA4CF, _HAN),  # Yi
    (0xA980, 0xA9DF, _SOUTH_EAST_ASIAN),  # Javanese
    (0xA9E0, 0xA9FF, _SOUTH_EAST_ASIAN),  # Myanmar
    (0xAA60, 0xAADF, _SOUTH_EAST_ASIAN),  # Myanmar, Tai Viet
    (0xF900, 0xFAFF, _HAN),
    (0x1AFF0, 0x1B16F, _KANA),
    (0x20000, 0x3FFFF, _HAN),
)
_STARTS = [first for first, _, _ in _WITHOUT_SPACES]
# A Korean word, between spaces, counts for one and a half: the same text has 0.65 words for each English one.
_KOREAN_WORD = 18
_HANGUL = range(0xAC00, 0xD7A4)

# Separators of tokens. `_JOINED` is put before a mark that belongs to the character before it.
_BETWEEN, _JOINED = "\n", "\r"
SEPARATORS = _BETWEEN + _JOINED
_NONE = ""
# The small letter of I in Turkish, and what case folding leaves of the dot of its capital I with a dot.
_LETTERS_I = {0x0131: "i", 0x0307: _NONE}
_VARIATION_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))


def separated(text: str) -> str:
    """Return the words of a text, each between separators."""
    return _folded(text).translate(_CHARACTERS).replace(_BETWEEN + _JOINED, "")


def count_words(text: str) -> float:
    """Return the number of words of a text; a character of a script without spaces is a part of one."""
    return sum(_PARTS[word[0]] for word in separated(text).split()) / _WORD


def holds_phrase(text: str, phrase: str) -> bool:
    """Return whether a text contains a phrase as whole words, in any case."""
    if _folded(phrase) not in _folded(text):
        return False
    words = separated(phrase).split()
    return not words or f" {' '.join(words)} " in f" {' '.join(separated(text).split())} "


def is_mid_sentence_mark(character: str) -> bool:
    """Return whether no text begins with a character: dashes, bullets, marks at the end of words and clauses.

    Brackets and quotation marks of all scripts, and the marks of Spanish, may stand at the beginning.
    """
    return unicodedata.category(character) in {"Pc", "Pd", "Pe", "Po"} and character not in _OPENING


_OPENING = frozenset("¿¡")


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).translate(_LETTERS_I)


def _parts_without_spaces(code: int) -> int:
    """Return the parts of a word that a character of a script without spaces counts for, 0 for other scripts."""
    at = bisect_right(_STARTS, code) - 1
    return _WITHOUT_SPACES[at][2] if at >= 0 and code <= _WITHOUT_SPACES[at][1] else 0


class _Characters(dict[int, str]):
    """The replacement of each character by its code: filled as characters are met."""

    def __missing__(self, code: int) -> str:
        self[code] = found = _replacement(code)
        return found


def _replacement(code: int) -> str:
    character = chr(code)
    category = unicodedata.category(character)
    if category == "Cf" or any(code in each for each in _VARIATION_SELECTORS):
        return _NONE
    if category[0] not in "LMN":
        return _BETWEEN
    if not _parts_without_spaces(code):
        return character
    return f"{_JOINED if category[0] == 'M' else _BETWEEN}{character}{_BETWEEN}"


class _Parts(dict[str, int]):
    """The parts of a word that a token counts for, by its first character."""

    def __missing__(self, character: str) -> int:
        code = ord(character)
        whole = _KOREAN_WORD if code in _HANGUL else _WORD
        self[character] = found = _parts_without_spaces(code) or whole
        return found


_CHARACTERS = _Characters()
_PARTS = _Parts()
