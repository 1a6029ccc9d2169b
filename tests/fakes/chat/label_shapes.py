"""The shapes of instances of a classification task, label first: `write(rng, pairs)`. A pair's output is its label."""

import random
import re
from collections.abc import Callable, Sequence
from functools import partial

from tests.fakes.chat.remarks import ANSWER_CLOSINGS, ANSWER_PREAMBLES, remark
from tests.fakes.chat.shapes import Shape, around, wrapped_shapes
from tests.fakes.chat.tasks import Pair
from tests.fakes.chat.wrappings import THINKING, ended

PairsWriter = Callable[[random.Random, Sequence[Pair]], str]

_FIELD = re.compile(r"^([A-Z]\w+(?: \d)?:)", re.MULTILINE)


_PAPER = "Class label: {label}\n{input}"


def _written(_: random.Random, pairs: Sequence[Pair], *, form: str = _PAPER, gap: str = "\n") -> str:
    """Write each pair in a form. `{bold}`, `{indented}` and `{listed}` are the input with its fields marked."""
    return gap.join(
        form.format(
            n=number,
            label=pair.output,
            input=pair.input,
            bold=_FIELD.sub(r"**\1**", pair.input),
            indented=pair.input.replace("\n", "\n   "),
            listed=pair.input.replace("\n", "\n- "),
        )
        for number, pair in enumerate(pairs, 1)
    )


paper: PairsWriter = _written


def _in(form: str, gap: str = "\n") -> PairsWriter:
    return partial(_written, form=form, gap=gap)


def _after_preamble(rng: random.Random, pairs: Sequence[Pair]) -> str:
    return f"{remark(rng, ANSWER_PREAMBLES)}\n\n{paper(rng, pairs)}"


def _before_closing(rng: random.Random, pairs: Sequence[Pair]) -> str:
    return f"{paper(rng, pairs)}\n\n{remark(rng, ANSWER_CLOSINGS)}"


LABEL_SHAPES: tuple[Shape, ...] = (
    Shape("paper", "paper", paper),
    Shape("bold", "bold", _in("**Class label:** {label}\n{bold}")),
    Shape("bold-blank-lines", "bold", _in("**Class label:** {label}\n{bold}", "\n\n")),
    Shape("bold-label-text", "bold", _in("**Class label: {label}**\n{input}")),
    Shape("numbered", "numbered", _in("{n}. Class label: {label}\n   {indented}")),
    Shape("numbered-bold", "numbered", _in("{n}. **Class label:** {label}\n   {indented}", "\n\n")),
    Shape("example-headings", "example-headings", _in("Example {n}\nClass label: {label}\n{input}", "\n\n")),
    Shape("preamble", "preamble", _after_preamble),
    Shape("closing", "closing", _before_closing),
    Shape("blank-lines", "blank-lines", _in("Class label: {label}\n{input}", "\n\n")),
    Shape("other-case", "other-case", _in("Class Label: {label}\n{input}")),
    Shape("other-case-capitals", "other-case", _in("CLASS LABEL: {label}\n{input}", "\n\n")),
    Shape("bullets", "bullets", _in("- Class label: {label}\n  {indented}")),
    Shape("bullets-each", "bullets", _in("- Class label: {label}\n- {listed}", "\n\n")),
    Shape("rules", "rules", _in("Class label: {label}\n{input}", "\n\n---\n\n")),
    Shape("end-token", "end-token", around(ended, paper)),
    *wrapped_shapes(THINKING, "thinking/", Shape("", "", paper)),
)
