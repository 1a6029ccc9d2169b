"""WordPiece tokenizer of BERT's uncased models (Devlin et al. 2019; Wu et al. 2016).

It differs from the package `tokenizers` in one respect: `[SEP]` in a text means those five characters.
"""

import unicodedata
from collections.abc import Iterator, Mapping

_UNKNOWN, _START, _END = "[UNK]", "[CLS]", "[SEP]"
_LONGEST_WORD = 100
_INNER = "##"
_WHITE = "\t\n\r"
_REPLACEMENT = "\ufffd"
_NOT_SHOWN = ("Cc", "Cf", "Co", "Cs")
# Unicode blocks of Chinese characters; each character is a word.
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
    """A tokenizer with a vocabulary, which maps each word piece to its id."""

    def __init__(self, numbers: Mapping[str, int]) -> None:
        self._numbers = numbers

    def numbers(self, text: str, at_most: int) -> list[int]:
        """Return the ids of a text's word pieces between those of `[CLS]` and `[SEP]`, `at_most` ids in all."""
        found = [self._numbers[_START]]
        for word in words(text):
            if len(found) >= at_most:
                break
            found += self._pieces(word)
        return [*found[: at_most - 1], self._numbers[_END]]

    def _pieces(self, word: str) -> list[int]:
        """Return the ids of a word's pieces, the longest match first from its start on; `[UNK]` if one fails."""
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
    """Yield the words of a text in lower case without accents; a punctuation mark is a word of its own."""
    for word in "".join(map(_cleaned, text)).split():
        plain = "".join(each for each in unicodedata.normalize("NFD", word) if unicodedata.category(each) != "Mn")
        yield from _split(plain.lower())


def _split(word: str) -> list[str]:
    return "".join(f" {each} " if _is_punctuation(each) else each for each in word).split()


def _cleaned(character: str) -> str:
    """Return the replacement of a character: itself, itself between spaces, a space, or the empty string."""
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
