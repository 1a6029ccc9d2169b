"""Weighted word tables and sentences filled from them: one lookup per word, so a reply costs microseconds."""

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, chain, cycle, product
from typing import TypeVar

from msgspec import Struct

from service.simulator.text import sentence_templates as frames
from service.simulator.text import vocabulary

T = TypeVar("T")

Draw = Callable[[], float]
Tables = Mapping[str, Sequence[str]]

_SIZE = 8192
_LONG_TAIL = 0.8
# The share of instructions that have one more sentence.
_WITH_TAIL = 0.6


def seeded(seed: int, *parts: str) -> random.Random:
    """Return a random generator that depends on these values only, in every process (`hash()` would not)."""
    digest = hashlib.blake2b(repr(seed).encode(), digest_size=16)
    for part in parts:
        digest.update(b"\0")
        digest.update(part.encode())
    return random.Random(int.from_bytes(digest.digest()))  # noqa: S311  made-up text, no secret


def weighted(items: Sequence[T], exponent: float) -> tuple[T, ...]:
    """Return a table in which frequency falls with rank (Zipf's law), so that one uniform draw picks an item."""
    bounds = list(accumulate((rank + 1) ** -exponent for rank in range(len(items))))
    ends = [int(_SIZE * bound / bounds[-1] + 0.5) for bound in bounds]
    cells = [[item] * (end - start) for item, start, end in zip(items, [0, *ends], ends, strict=False)]
    return tuple(chain.from_iterable(cells))


def pick(table: Sequence[T], draw: Draw) -> T:
    """Return the item of a table that one draw from [0, 1) selects."""
    return table[int(draw() * len(table))]


def _with_article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _label_lists() -> list[str]:
    return [", ".join(labels[:-1]) + f" or {labels[-1]}" for labels in vocabulary.LABELS]


def _made_up(purpose: str) -> list[str]:
    names = ["".join(syllables) for syllables in product(*vocabulary.SYLLABLES)]
    seeded(0, purpose).shuffle(names)
    return names


def _full_names() -> list[str]:
    first = cycle(vocabulary.NAMES)
    return [f"{next(first)} {last}" for last in _made_up("names")]


def mixed(rare: Sequence[str], common: Sequence[str]) -> tuple[str, ...]:
    """Return a table that takes a quarter of its cells from a long list of rare items."""
    return (*weighted(rare, _LONG_TAIL), *(3 * weighted(common, 0.5)))


def _slots() -> dict[str, tuple[str, ...]]:
    return {
        "noun": weighted(vocabulary.NOUNS, 0.4),
        "adjective": weighted(vocabulary.ADJECTIVES, 0.5),
        "trait": weighted([_with_article(trait) for trait in vocabulary.TRAITS], 0.5),
        "person": weighted(vocabulary.PERSONS, 0.5),
        "place": mixed([f"the town of {made_up}" for made_up in _made_up("towns")], vocabulary.PLACES),
        "activity": weighted(vocabulary.ACTIVITIES, 0.5),
        "form": weighted(vocabulary.FORMS, 0.5),
        "quality": weighted(vocabulary.QUALITIES, 0.5),
        "source": weighted(vocabulary.SOURCES, 0.5),
        "moment": weighted(vocabulary.MOMENTS, 0.5),
        "number": weighted(vocabulary.NUMBERS, 0.5),
        "name": mixed(_full_names(), vocabulary.NAMES),
        "write": weighted(vocabulary.WRITE, 0.5),
        "explain": weighted(vocabulary.EXPLAIN, 0.5),
        "give": weighted(vocabulary.GIVE, 0.5),
        "affect": weighted(vocabulary.AFFECT, 0.5),
        "labels": weighted(_label_lists(), 0.5),
    }


TABLES = _slots()


class Frame(Struct, frozen=True):
    """A sentence template as a format string, with one word table for each gap."""

    form: str
    gaps: tuple[Sequence[str], ...]

    @classmethod
    def compile(cls, line: str, tables: Tables) -> "Frame":
        """Parse a line such as `Explain {noun}` and look up its tables."""
        literal, *slots = line.replace("%", "%%").split("{")
        pairs = [slot.split("}", 1) for slot in slots]
        return cls("%s".join([literal, *(rest for _, rest in pairs)]), tuple(tables[name] for name, _ in pairs))

    def fill(self, draw: Draw) -> str:
        """Return the sentence with words drawn for its gaps; it starts with a capital letter."""
        text = self.form % tuple([gap[int(draw() * len(gap))] for gap in self.gaps])
        return text[0].upper() + text[1:]


def compiled(lines: str, exponent: float, tables: Tables) -> tuple[Frame, ...]:
    """Return a table of the sentence templates in these lines; the first ones are more frequent."""
    return weighted([Frame.compile(line, tables) for line in lines.strip().splitlines()], exponent)


def _tails() -> tuple[str, ...]:
    draw = seeded(0, "tails").random
    tails = compiled(frames.TAILS, 0.3, TABLES)
    return tuple(f" {pick(tails, draw).fill(draw)}" if draw() < _WITH_TAIL else "" for _ in range(_SIZE // 2))


TABLES["tail"] = _tails()
GENERATION = compiled(frames.GENERATION, 0.4, TABLES)
CLASSIFICATION = compiled(frames.CLASSIFICATION, 0.4, TABLES)
BLOCKED = compiled(frames.BLOCKED, 0.0, TABLES)
SHORT = compiled(frames.SHORT, 0.0, TABLES)
SENTENCES = compiled(frames.SENTENCES, 0.3, TABLES)
