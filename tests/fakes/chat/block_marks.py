"""The labels and separators of the parts of a whole task: numbers, bold marks, lines between."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.fakes.chat.tasks import Task

BlockWriter = Callable[[random.Random, Sequence[Task], int], str]

NO_INPUT_WORDS = (
    "No input",
    "N/A",
    "None",
    "<no input>",
    "(no input required)",
    "<noinput>.",
    "noinput",
    "<NoInput>",
    "(none)",
    "No input.",
)
# A text with such a beginning starts on a new line.
_BEGIN_A_LINE = ("#", "```", "- ", "* ", "• ", "1.", "1)")


@dataclass(frozen=True)
class Style:
    """A way to write blocks. In `label`, `{n}` is the block's number and `{word}` the name of the part.

    `heading` is above each block. `separator` is before each block but the first, and with `opens` before all blocks.
    `continued` leaves the first label out, because the prompt ended with it.
    """

    label: str = "{n}. {word}:"
    separator: str = "###\n"
    heading: str = ""
    gap: str = "\n"
    no_input: tuple[str, ...] = ("<noinput>",)
    same_line: bool = False
    opens: bool = False
    continued: bool = True


def written(style: Style) -> BlockWriter:
    """Return the writer of a style."""

    def write(rng: random.Random, tasks: Sequence[Task], first: int) -> str:
        blocks = [block(rng, style, number, task) for number, task in enumerate(tasks, first)]
        return joined(style, blocks, first)

    return write


def joined(style: Style, blocks: Sequence[str], first: int) -> str:
    """Return a reply of written blocks."""
    text = style.separator.join(blocks)
    if style.continued:
        return text.removeprefix(label(style, first, "Instruction"))
    return f"{style.separator.lstrip()}{text}" if style.opens else text


def block(rng: random.Random, style: Style, number: int, task: Task) -> str:
    """Return one task as a block that ends with a line feed."""
    given = task.input or rng.choice(style.no_input)
    parts = (
        f"{style.heading.format(n=number)}{label(style, number, 'Instruction')} {task.instruction}",
        labelled(label(style, number, "Input"), given, same_line=style.same_line),
        labelled(label(style, number, "Output"), task.output, same_line=style.same_line),
    )
    return f"{style.gap.join(parts)}\n"


def label(style: Style, number: int, word: str) -> str:
    return style.label.format(n=number, word=word)


def labelled(name: str, text: str, *, same_line: bool) -> str:
    """Return a text after its label, on the same line if `same_line` is set and the text allows it."""
    return f"{name} {text}" if same_line and not text.startswith(_BEGIN_A_LINE) else f"{name}\n{text}"
