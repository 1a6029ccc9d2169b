"""The shapes of Alpaca's whole tasks: `write(rng, tasks, first)` answers a prompt that ends with `4. Instruction:`.

In the shapes of the kind `broken`, the block at `BROKEN_AT` is spoiled, and a parser should keep the others.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.fakes.chat.block_marks import NO_INPUT_WORDS, BlockWriter, Style, block, joined, label, written
from tests.fakes.chat.remarks import TASK_CLOSINGS, TASK_PREAMBLES, remark
from tests.fakes.chat.shapes import Shape, around, one_of, wrapped_shapes
from tests.fakes.chat.tasks import Task
from tests.fakes.chat.wrappings import THINKING, ended, fenced

BROKEN_AT = 1
_GAPS = (" ", "\n")

_PAPER = Style()
_REPEATED = Style(continued=False)
_BOLD_NUMBERS = Style(label="**{n}. {word}:**", continued=False)
_BOLD_LABELS = Style(label="{n}. **{word}:**")
_UNNUMBERED = Style(label="{word}:")
_UNNUMBERED_BOLD = Style(label="**{word}:**", separator="\n", continued=False, same_line=True)
_HEADED = Style(label="**{word}:**", heading="### Task {n}\n", separator="\n", continued=False)
_BLANK = Style(gap="\n\n", separator="\n###\n\n")

paper: BlockWriter = written(_PAPER)
_repeated: BlockWriter = written(_REPEATED)
_plain: BlockWriter = one_of(paper, _repeated)


def _from_one(style: Style) -> BlockWriter:
    return lambda rng, tasks, _: written(style)(rng, tasks, 1)


def _after_preamble(plain: BlockWriter) -> BlockWriter:
    return lambda rng, *meant: f"{remark(rng, TASK_PREAMBLES)}\n\n{plain(rng, *meant)}"


def _before_closing(gap: str, plain: BlockWriter) -> BlockWriter:
    return lambda rng, *meant: f"{plain(rng, *meant)}{gap}{remark(rng, TASK_CLOSINGS)}"


def _with_a_broken_block(spoil: Callable[[str, int], str]) -> BlockWriter:
    def write(rng: random.Random, tasks: Sequence[Task], first: int) -> str:
        blocks = [block(rng, _PAPER, number, task) for number, task in enumerate(tasks, first)]
        if len(blocks) > BROKEN_AT:
            blocks[BROKEN_AT] = spoil(blocks[BROKEN_AT], first + BROKEN_AT)
        return joined(_PAPER, blocks, first)

    return write


def _without_output_label(text: str, number: int) -> str:
    return text.replace(f"{label(_PAPER, number, 'Output')}\n", "")


def _with_a_bare_number(text: str, number: int) -> str:
    return text.replace(f"{label(_PAPER, number, 'Output')}\n", f"{number}. ")


def _with_wrong_number(text: str, number: int) -> str:
    return text.replace(label(_PAPER, number, "Input"), label(_PAPER, 1, "Input"))


def _with_misspelt_label(text: str, number: int) -> str:
    return text.replace(label(_PAPER, number, "Instruction"), label(_PAPER, number, "Instraction"))


def _split(text: str, number: int) -> str:
    return text.replace(label(_PAPER, number, "Input"), f"###\n{label(_PAPER, number, 'Input')}")


def _merged(rng: random.Random, tasks: Sequence[Task], first: int) -> str:
    """Write the second task into the output of the first, without a separator or a number."""
    blocks = [block(rng, _PAPER, number, task) for number, task in enumerate(tasks, first)]
    if len(tasks) > 1:
        within = block(rng, replace(_UNNUMBERED, same_line=True), 0, tasks[1])
        blocks[:2] = [f"{blocks[0].rstrip()}{rng.choice(_GAPS)}{within}"]
    return joined(_PAPER, blocks, first)


_BREAKAGES: dict[str, Callable[[str, int], str]] = {
    "no-output-label": _without_output_label,
    "bare-number": _with_a_bare_number,
    "wrong-number": _with_wrong_number,
    "misspelt-label": _with_misspelt_label,
    "split-block": _split,
}

BLOCK_SHAPES: tuple[Shape, ...] = (
    Shape("paper", "paper", paper),
    Shape("label-repeated", "label-repeated", _repeated),
    Shape("separator-first", "separator-first", written(Style(continued=False, opens=True))),
    Shape("from-one", "from-one", _from_one(_REPEATED)),
    Shape("from-one-separator-first", "from-one", _from_one(Style(continued=False, opens=True))),
    Shape("bold-number", "bold-number", written(_BOLD_NUMBERS)),
    Shape("bold-number-no-separator", "bold-number", written(replace(_BOLD_NUMBERS, separator="\n"))),
    Shape("bold-label", "bold-label", written(_BOLD_LABELS)),
    Shape("bold-label-repeated", "bold-label", written(replace(_BOLD_LABELS, continued=False))),
    Shape("unnumbered", "unnumbered", written(_UNNUMBERED)),
    Shape("unnumbered-repeated", "unnumbered", written(replace(_UNNUMBERED, continued=False))),
    Shape("unnumbered-bold", "unnumbered", written(_UNNUMBERED_BOLD)),
    Shape("no-separator", "no-separator", written(Style(separator=""))),
    Shape("no-separator-blank-line", "no-separator", written(Style(separator="\n", continued=False))),
    Shape("rules", "no-separator", written(Style(separator="---\n", continued=False))),
    Shape("task-heading", "task-heading", written(_HEADED)),
    # For this shape, the model writes outputs with headings.
    Shape("headings-in-output", "headings-in-output", paper),
    Shape("no-input-words", "no-input-words", written(Style(no_input=NO_INPUT_WORDS))),
    Shape("preamble", "preamble", _after_preamble(_repeated)),
    Shape("preamble-separator", "preamble", _after_preamble(written(Style(continued=False, opens=True)))),
    Shape("closing", "closing", _before_closing("\n", _plain)),
    Shape("closing-after-separator", "closing", _before_closing("###\n\n", _plain)),
    Shape("chatty", "chatty", _after_preamble(_before_closing("\n", written(_HEADED)))),
    Shape("end-token", "end-token", around(ended, _plain)),
    *wrapped_shapes(THINKING, "thinking/", Shape("", "", _plain)),
    Shape("fence", "fence", around(fenced, _repeated)),
    Shape("same-line", "same-line", written(Style(same_line=True))),
    Shape("same-line-repeated", "same-line", written(Style(same_line=True, continued=False))),
    Shape("blank-lines", "blank-lines", written(_BLANK)),
    Shape("blank-lines-repeated", "blank-lines", written(replace(_BLANK, continued=False))),
    *(Shape(name, "broken", _with_a_broken_block(spoil), readable=False) for name, spoil in _BREAKAGES.items()),
    Shape("merged", "merged", _merged, readable=False),
)
