"""The shapes of instances of a task: `write(rng, pairs)`."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.fakes.chat.block_marks import labelled
from tests.fakes.chat.remarks import ANSWER_CLOSINGS, ANSWER_PREAMBLES, remark
from tests.fakes.chat.shapes import Shape, around, one_of, wrapped_shapes
from tests.fakes.chat.tasks import Pair
from tests.fakes.chat.wrappings import THINKING, ended, fenced

PairsWriter = Callable[[random.Random, Sequence[Pair]], str]

_NONE_WORDS = ("None", "N/A", "(none)", "No input", "<noinput>", "(no input required)", "None.")
_FENCE_NAMES = ("", "", "text", "markdown")


@dataclass(frozen=True)
class _Style:
    """A way to write examples. Without `none_words`, an empty input has no line of its own."""

    heading: str = "Example {n}\n"
    label: str = "{word}:"
    gap: str = "\n\n"
    own_lines: bool = False
    none_words: tuple[str, ...] = ()
    fences_output: bool = False
    heads_single: bool = False


def _written(style: _Style) -> PairsWriter:
    def write(rng: random.Random, pairs: Sequence[Pair]) -> str:
        single = len(pairs) == 1 and not style.heads_single and not pairs[0].input
        heading = "" if single else style.heading
        examples = (heading.format(n=number) + _example(rng, style, pair) for number, pair in enumerate(pairs, 1))
        return style.gap.join(examples)

    return write


def _example(rng: random.Random, style: _Style, pair: Pair) -> str:
    given = pair.input or (rng.choice(style.none_words) if style.none_words else "")
    output = _fenced(rng, pair.output) if style.fences_output else pair.output
    fields = {"Input": given, "Output": output} if given else {"Output": output}
    return "\n".join(_field(style, name, text) for name, text in fields.items())


def _field(style: _Style, name: str, text: str) -> str:
    return labelled(style.label.format(word=name), text, same_line=not style.own_lines)


def _fenced(rng: random.Random, output: str) -> str:
    return output if "```" in output else f"```{rng.choice(_FENCE_NAMES)}\n{output}\n```"


paper: PairsWriter = _written(_Style())


def _directly(rng: random.Random, pairs: Sequence[Pair]) -> str:
    """Write the output alone if there is one instance without an input, and the papers' shape otherwise."""
    return pairs[0].output if len(pairs) == 1 and not pairs[0].input else paper(rng, pairs)


def _after_preamble(gap: str, plain: PairsWriter) -> PairsWriter:
    return lambda rng, pairs: f"{remark(rng, ANSWER_PREAMBLES)}{gap}{plain(rng, pairs)}"


def _before_closing(plain: PairsWriter) -> PairsWriter:
    return lambda rng, pairs: f"{plain(rng, pairs)}\n\n{remark(rng, ANSWER_CLOSINGS)}"


_COLON = _Style(heading="Example {n}:\n")
_BOLD = _Style(heading="**Example {n}:**\n", label="**{word}:**", heads_single=True)
_HEADING = _Style(heading="### Example {n}\n", heads_single=True)

INSTANCE_SHAPES: tuple[Shape, ...] = (
    Shape("paper", "paper", paper),
    Shape("colon", "colon", _written(_COLON)),
    Shape("colon-always", "colon", _written(replace(_COLON, heads_single=True))),
    Shape("bold-heading", "bold-heading", _written(replace(_BOLD, label="{word}:"))),
    Shape("heading", "heading", _written(_HEADING)),
    Shape("heading-blank-line", "heading", _written(_Style(heading="### Example {n}\n\n", label="**{word}:**"))),
    Shape("bold-label", "bold-label", _written(_BOLD)),
    Shape("bold-label-colon-outside", "bold-label", _written(replace(_BOLD, label="**{word}**:"))),
    Shape("bold-label-plain-heading", "bold-label", _written(replace(_BOLD, heading="Example {n}\n"))),
    Shape("none-words", "none-words", _written(_Style(none_words=_NONE_WORDS))),
    Shape("none-words-bold", "none-words", _written(replace(_BOLD, none_words=_NONE_WORDS))),
    Shape("preamble", "preamble", _after_preamble("\n\n", paper)),
    Shape("preamble-next-line", "preamble", _after_preamble("\n", paper)),
    Shape("closing", "closing", _before_closing(paper)),
    Shape("chatty", "chatty", _after_preamble("\n\n", _before_closing(_written(_BOLD)))),
    Shape("rules", "rules", _written(replace(_COLON, gap="\n\n---\n\n"))),
    Shape("own-lines", "own-lines", _written(_Style(own_lines=True))),
    Shape("own-lines-bold", "own-lines", _written(replace(_BOLD, own_lines=True))),
    Shape("fenced-output", "fenced-output", _written(_Style(own_lines=True, fences_output=True))),
    Shape("fence", "fence", around(fenced, paper)),
    # For this shape, the model writes one output without an input.
    Shape("direct", "direct", _directly),
    Shape("end-token", "end-token", around(ended, one_of(paper, _directly))),
    *wrapped_shapes(THINKING, "thinking/", Shape("", "", paper)),
)
