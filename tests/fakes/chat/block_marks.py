"""How the parts of a whole task are labelled and set apart: numbers, bold marks, lines between."""

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
# What begins so stands on a line of its own.
_BEGIN_A_LINE = ("#", "```", "- ", "* ", "• ", "1.", "1)")


@dataclass(frozen=True)
class Style:
    """A way of writing blocks; in `label`, `{n}` is the block's number and `{word}` what the label names.

    `heading` stands above each block, `separator` before each but the first, and with `opens` before the first too.
    `continued` leaves the first label out, as the prompt ended with it.
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
    """Return a label."""
    return style.label.format(n=number, word=word)


def labelled(name: str, text: str, *, same_line: bool) -> str:
    """Return a text after its label, on the same line where that is wanted and the text does not need its own."""
    return f"{name} {text}" if same_line and not text.startswith(_BEGIN_A_LINE) else f"{name}\n{text}"
