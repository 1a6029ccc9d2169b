"""Marks the words that two texts have in common: those of a longest common subsequence, as ROUGE-L counts them."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from service.selfinstruct.recipe import Language
from service.selfinstruct.unicode_words import separated
from service.web.read_model.answers import Span

# Longer texts are compared up to this word: the time grows with the product of their lengths.
MOST_WORDS = 500
_ASCII_WORD = re.compile("[a-z0-9]+")

Word = tuple[str, Span]


def common_words(language: Language, one: str, other: str) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Return the places of the common words in both texts, in order."""
    words = _WORDS[language]
    ones, others = words(one)[:MOST_WORDS], words(other)[:MOST_WORDS]
    pairs = _common([word for word, _ in ones], [word for word, _ in others])
    return tuple(ones[left][1] for left, _ in pairs), tuple(others[right][1] for _, right in pairs)


def _common(ones: Sequence[str], others: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of the items of a longest common subsequence."""
    lengths = [[0] * (len(others) + 1)]
    for one in reversed(ones):
        below, row = lengths[-1], [0]
        for place in range(len(others) - 1, -1, -1):
            row.append(below[place + 1] + 1 if one == others[place] else max(below[place], row[-1]))
        lengths.append(row[::-1])
    lengths.reverse()
    pairs, left, right = list[tuple[int, int]](), 0, 0
    while left < len(ones) and right < len(others):
        if ones[left] == others[right]:
            pairs.append((left, right))
            left, right = left + 1, right + 1
        elif lengths[left + 1][right] >= lengths[left][right + 1]:
            left += 1
        else:
            right += 1
    return pairs


def _english_words(text: str) -> list[Word]:
    """Return the tokens of ROUGE. A few letters outside ASCII have a small one in it, or two characters."""
    places = [place for place, character in enumerate(text) for _ in character.lower()]
    found = _ASCII_WORD.finditer("".join(character.lower() for character in text))
    return [(each[0], Span(places[each.start()], places[each.end() - 1] + 1)) for each in found]


def _words(text: str) -> list[Word]:
    """Return the words of any language. Where a run of letters is several words, each is as long as a character."""
    found: list[Word] = []
    for start, run in _runs(text):
        words, characters = separated(run).split(), list(_characters(run))
        if len(words) == len(characters) > 1:
            found += [(word, Span(start + at, start + end)) for word, (at, end) in zip(words, characters, strict=True)]
        else:
            found += [(word, Span(start, start + len(run))) for word in words]
    return found


def _runs(text: str) -> Iterator[tuple[int, str]]:
    """Yield the longest runs of letters, marks, digits and invisible characters, each with its place."""
    start: int | None = None
    for place, character in enumerate(f"{text} "):
        category = unicodedata.category(character)
        if category[0] in "LMN" or category == "Cf":
            start = place if start is None else start
        elif start is not None:
            yield start, text[start:place]
            start = None


def _characters(run: str) -> Iterator[tuple[int, int]]:
    """Yield the places of the characters of a run, each with the marks behind it."""
    starts = [at for at, each in enumerate(run) if at == 0 or unicodedata.category(each)[0] not in "MC"]
    yield from zip(starts, [*starts[1:], len(run)], strict=True)


_WORDS: dict[Language, Callable[[str], list[Word]]] = {Language.EN: _english_words, Language.ANY: _words}
