"""Made-up inputs and outputs: a line, several, code in a fence, Markdown headings, bullets, numbered lists, a word."""

import random
from collections.abc import Callable

from tests.fakes.chat.phrases import SENTENCES, SHORT
from tests.fakes.chat.words import choose, fill, sentence

Writer = Callable[[random.Random], str]

_CODE = (
    ("python", "def total(prices):\n    return sum(price for price in prices if price < {decimal})"),
    ("python", 'for word in ["{noun}", "{noun}"]:\n    if len(word) > {n}:\n        print(word.upper())'),
    ("sql", "SELECT name, price\nFROM stock\nWHERE price < {decimal}\nORDER BY name;"),
    ("js", "const limit = {decimal};\nconst cheap = prices.filter((price) => price < limit);"),
    ("", "{noun}={n}\n{noun}={decimal}"),
    ("bash", "grep -c '{noun}' stock.txt\n# prints {n}"),
)
_HEADINGS = (
    "Background",
    "What you need",
    "Cost and time",
    "Summary",
    "Common mistakes",
    "Step by step",
    "For beginners",
)
_LETTERS = ("Dear {name},", "Hello {name},", "To whom it may concern,", "{name}, my friend,")
_FAREWELLS = ("Yours, {name}", "With love,\n{name}", "Kind regards\n{name}")


def line(rng: random.Random) -> str:
    """Return one sentence, or two."""
    return " ".join(sentence(choose(rng, SENTENCES)) for _ in range(rng.choice((1, 1, 2))))


def lines(rng: random.Random) -> str:
    """Return a letter, or sentences on lines of their own."""
    gap = rng.choice(("\n", "\n", "\n\n"))
    body = [line(rng) for _ in range(rng.randint(2, 4))]
    if rng.random() < 1 / 3:
        body = [choose(rng, _LETTERS), *body[:2], choose(rng, _FAREWELLS)]
    return gap.join(body)


def fenced_code(rng: random.Random) -> str:
    """Return code in a fence, sometimes with a sentence after it."""
    language, code = rng.choice(_CODE)
    fence = f"```{language}\n{fill(rng, code)}\n```"
    return fence if rng.random() < 1 / 2 else f"{fence}\n{line(rng)}"


def headed(rng: random.Random) -> str:
    marks = rng.choice(("##", "###", "###"))
    gap = rng.choice(("\n", "\n\n"))
    return gap.join(f"{marks} {heading}\n{line(rng)}" for heading in rng.sample(_HEADINGS, rng.randint(1, 3)))


def bulleted(rng: random.Random) -> str:
    """Return a list with bullets. Some lists have their first words in bold."""
    mark = rng.choice("-*•")
    bold = rng.random() < 1 / 4
    items = [f"**{fill(rng, '{day}')}:** {line(rng)}" if bold else line(rng) for _ in range(rng.randint(2, 5))]
    return "\n".join(f"{mark} {item}" for item in items)


def numbered(rng: random.Random) -> str:
    dot = rng.choice((".", ".", ")"))
    return "\n".join(f"{number}{dot} {line(rng)}" for number in range(1, rng.randint(3, 6)))


def short(rng: random.Random) -> str:
    """Return a word, a name or a number."""
    return choose(rng, SHORT)


def question_on_text(rng: random.Random) -> str:
    """Return an input of two fields."""
    return f"Text: {line(rng)}\nQuestion: What does {fill(rng, '{name}')} think of {fill(rng, '{topic}')}?"


OUTPUTS: dict[Writer, float] = {
    line: 0.34,
    lines: 0.16,
    fenced_code: 0.1,
    headed: 0.08,
    bulleted: 0.1,
    numbered: 0.1,
    short: 0.12,
}
INPUTS: dict[Writer, float] = {line: 0.7, short: 0.12, question_on_text: 0.1, lines: 0.05, bulleted: 0.03}


def drawn(rng: random.Random, writers: dict[Writer, float]) -> str:
    """Return the text of one writer, drawn by the rates."""
    return rng.choices([*writers], [*writers.values()])[0](rng)
