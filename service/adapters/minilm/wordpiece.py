"""A text as numbers of word pieces, as BERT's uncased models are used to (Devlin et al. 2019; Wu et al. 2016).

Differs from the package `tokenizers` in one thing: a text that says `[SEP]` means those five characters.
"""

import unicodedata
from collections.abc import Iterator, Mapping

_UNKNOWN, _START, _END = "[UNK]", "[CLS]", "[SEP]"
_LONGEST_WORD = 100
_INNER = "##"
_WHITE = "\t\n\r"
_REPLACEMENT = "\ufffd"
_NOT_SHOWN = ("Cc", "Cf", "Co", "Cs")
# Blocks of Chinese characters, each of which is a word.
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class WordPieces:
    """The tokenizer for a vocabulary: pieces in the order of their numbers."""

    def __init__(self, numbers: Mapping[str, int]) -> None:
        self._numbers = numbers

    def numbers(self, text: str, at_most: int) -> list[int]:
        """Return the numbers of a text's pieces between those of start and end: `at_most` so many in all."""
        found = [self._numbers[_START]]
        for word in words(text):
            if len(found) >= at_most:
                break
            found += self._pieces(word)
        return [*found[: at_most - 1], self._numbers[_END]]

    def _pieces(self, word: str) -> list[int]:
        """Return the longest pieces that make up a word, from its beginning on; one unknown if there are none."""
        found: list[int] = []
        start = 0
        while start < len(word) <= _LONGEST_WORD:
            end = self._end_of_piece(word, start)
            if end == start:
                return [self._numbers[_UNKNOWN]]
            found.append(self._numbers[_marked(word, start, end)])
            start = end
        return found or [self._numbers[_UNKNOWN]]

    def _end_of_piece(self, word: str, start: int) -> int:
        ends = range(len(word), start, -1)
        return next((end for end in ends if _marked(word, start, end) in self._numbers), start)


def words(text: str) -> Iterator[str]:
    """Yield the words of a text in small letters without accents; a punctuation mark is a word of its own."""
    for word in "".join(map(_cleaned, text)).split():
        plain = "".join(each for each in unicodedata.normalize("NFD", word) if unicodedata.category(each) != "Mn")
        yield from _split(plain.lower())


def _split(word: str) -> list[str]:
    return "".join(f" {each} " if _is_punctuation(each) else each for each in word).split()


def _cleaned(character: str) -> str:
    """Return what stands for a character: itself, blanks around it, a blank, or nothing."""
    if character.isascii() and character.isprintable():
        return character
    if character in _WHITE:
        return " "
    if character == _REPLACEMENT or unicodedata.category(character) in _NOT_SHOWN:
        return ""
    if character.isspace():
        return " "
    point = ord(character)
    return f" {character} " if any(low <= point <= high for low, high in _IDEOGRAPHS) else character


def _is_punctuation(character: str) -> bool:
    if character.isascii():
        return not character.isalnum() and character.isprintable()
    return unicodedata.category(character).startswith("P")


def _marked(word: str, start: int, end: int) -> str:
    return word[start:end] if start == 0 else _INNER + word[start:end]
