"""The marks between the items of a list: numbers, bullets, quotation marks, lines."""

import random
from collections.abc import Callable, Sequence

from tests.fakes.chat.words import fill

ListWriter = Callable[[random.Random, Sequence[str], int], str]

TITLES = (
    "Travel",
    "Science",
    "Cooking",
    "Home Repair",
    "Ethics & Law",
    "Creative Writing",
    "Math Puzzle",
    "History of Trade",
    "Small Talk",
    "Health",
    "Text Rewriting",
    "Code Review",
    "Sentiment Analysis",
    "Q&A",
)
_WIDE_DIGITS = str.maketrans({str(digit): chr(ord("\N{FULLWIDTH DIGIT ZERO}") + digit) for digit in range(10)})
_QUOTES = (('"', '"'), ("\N{LEFT DOUBLE QUOTATION MARK}", "\N{RIGHT DOUBLE QUOTATION MARK}"))
_SHORTEST_LINE = 20


def each(form: str, gap: str = "\n") -> ListWriter:
    """Return the writer that gives every item a form: `{n}` is its number, `{w}` in wide digits, `{t}` its text."""

    def write(rng: random.Random, instructions: Sequence[str], first: int) -> str:
        return gap.join(_item(rng, form, number, text) for number, text in enumerate(instructions, first))

    return write


def continued(form: str, gap: str = "\n") -> ListWriter:
    """Return the writer whose first item has no number, because the prompt ended with it."""
    others = each(form, gap)

    def write(rng: random.Random, instructions: Sequence[str], first: int) -> str:
        head, *rest = instructions
        return f" {head}{gap}{others(rng, rest, first + 1)}" if rest else f" {head}"

    return write


def bulleted(rng: random.Random, instructions: Sequence[str], _: int) -> str:
    """Write items with bullets in place of numbers."""
    mark, gap = rng.choice("-*•"), rng.choice(("\n", "\n", "\n\n"))
    return gap.join(f"{mark} {instruction}" for instruction in instructions)


def in_quotes(rng: random.Random, instructions: Sequence[str], first: int) -> str:
    """Write items in quotation marks, except those that contain some."""
    before, after = rng.choice(_QUOTES)
    quoted = [text if '"' in text else f"{before}{text}{after}" for text in instructions]
    return each("{n}. {t}")(rng, quoted, first)


def with_sub_bullets(rng: random.Random, instructions: Sequence[str], first: int) -> str:
    """Write items with details below them, which do not belong to the instruction."""
    marks = rng.choice((("-", "-"), ("*", "*"), ("a)", "b)")))
    under = ["\n".join((text, *_details(rng, marks))) for text in instructions]
    return continued("{n}. {t}")(rng, under, first)


def _details(rng: random.Random, marks: Sequence[str]) -> list[str]:
    return [f"   {mark} {fill(rng, '{noun}: {topic}')}" for mark in marks]


def wrapped(rng: random.Random, instructions: Sequence[str], first: int) -> str:
    """Write items with a hard line break in the middle of a sentence."""
    indent = rng.choice(("", "   "))
    return continued("{n}. {t}")(rng, [_broken(rng, text, indent) for text in instructions], first)


def on_one_line(rng: random.Random, instructions: Sequence[str], first: int) -> str:
    return each("{n}. {t}", " ")(rng, instructions, first)


def in_table(rng: random.Random, instructions: Sequence[str], first: int) -> str:
    return f"| # | Task |\n|---|------|\n{each('| {n} | {t} |')(rng, instructions, first)}"


def _item(rng: random.Random, form: str, number: int, text: str) -> str:
    return form.format(n=number, w=str(number).translate(_WIDE_DIGITS), t=text, title=rng.choice(TITLES))


def _broken(rng: random.Random, text: str, indent: str) -> str:
    """Break a line before a word in lower case. A number at the beginning of a line would look like one of the list."""
    places = [at for at, sign in enumerate(text) if sign == " " and at > _SHORTEST_LINE and text[at + 1].islower()]
    if not places:
        return text
    at = rng.choice(places)
    return f"{text[:at]}\n{indent}{text[at + 1 :]}"
