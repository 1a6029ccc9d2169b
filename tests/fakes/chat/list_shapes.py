"""The shapes of a list of instructions: `write(rng, instructions, first)` answers a prompt that ends with `first`."""

import random
from collections.abc import Callable, Sequence

from tests.fakes.chat.list_marks import (
    bulleted,
    continued,
    each,
    in_quotes,
    in_table,
    on_one_line,
    with_sub_bullets,
    wrapped,
)
from tests.fakes.chat.remarks import TASK_CLOSINGS, TASK_PREAMBLES, remark, thoughts
from tests.fakes.chat.shapes import Shape, around, one_of, wrapped_shapes
from tests.fakes.chat.wrappings import THINKING, ended, fenced, with_windows_line_ends

ListWriter = Callable[[random.Random, Sequence[str], int], str]

_HEADINGS = (
    "## New tasks",
    "### Tasks",
    "# Continuation of the list",
    "## Additional Tasks (continued)",
    "**New tasks**",
)

paper: ListWriter = continued("{n}. {t}")
numbered: ListWriter = each("{n}. {t}")
_plain: ListWriter = one_of(paper, numbered)
_spaced: ListWriter = each("{n}. {t}", "\n\n")


def _from_one(rng: random.Random, instructions: Sequence[str], first: int) -> str:
    return numbered(rng, instructions, 1)


def _after_preamble(gap: str, plain: ListWriter) -> ListWriter:
    return lambda rng, *meant: f"{remark(rng, TASK_PREAMBLES)}{gap}{plain(rng, *meant)}"


def _before_closing(gap: str, plain: ListWriter) -> ListWriter:
    return lambda rng, *meant: f"{plain(rng, *meant)}{gap}{remark(rng, TASK_CLOSINGS)}"


def _under_heading(rng: random.Random, instructions: Sequence[str], first: int) -> str:
    return f"{rng.choice(_HEADINGS)}\n\n{numbered(rng, instructions, first)}"


def _thinking_aloud(rng: random.Random, instructions: Sequence[str], first: int) -> str:
    """Write numbered thoughts in plain text before the list, without a mark at their end."""
    heading = rng.choice(("Thinking Process:", "Here is my thinking:", "**Thinking process**"))
    thinking = "\n".join(f"{number}. {thoughts(rng)}" for number in range(1, 4))
    return f"{heading}\n\n{thinking}\n\n{_plain(rng, instructions, first)}"


_TITLED = {
    "bold-title": "{n}. **{title}:** {t}",
    "bold-title-colon-outside": "{n}. **{title}**: {t}",
    "bold-number-and-title": "**{n}. {title}:** {t}",
    "title-line": "**{n}. {title}**\n{t}",
    "title-line-indented": "{n}. **{title}**\n   {t}",
    "title-line-dash": "{n}. **{title}** - {t}",
}
_LABELLED = {
    "task-label": "Task {n}: {t}",
    "bold-task-label": "**Task {n}:** {t}",
    "bold-task-label-line": "**Task {n}:**\n{t}",
    "heading-task-label": "### Task {n}\n{t}",
}

LIST_SHAPES: tuple[Shape, ...] = (
    Shape("paper", "paper", paper),
    Shape("own-number", "own-number", numbered),
    Shape("parenthesis", "parenthesis", each("{n}) {t}")),
    Shape("parenthesis-continued", "parenthesis", continued("{n}) {t}")),
    Shape("parentheses", "parentheses", each("({n}) {t}")),
    Shape("bold-number", "bold-number", each("**{n}.** {t}")),
    Shape("no-blank", "no-blank", continued("{n}.{t}")),
    Shape("no-blank-own-number", "no-blank", each("{n}.{t}")),
    Shape("wide-comma", "wide", continued("{n}\N{IDEOGRAPHIC COMMA}{t}")),
    Shape("wide-stop", "wide", each("{n}\N{FULLWIDTH FULL STOP}{t}")),
    Shape("wide-parenthesis", "wide", each("{n}\N{FULLWIDTH RIGHT PARENTHESIS} {t}")),
    Shape("wide-digits", "wide", each("{w}\N{FULLWIDTH FULL STOP} {t}")),
    *(Shape(name, "task-label", each(form, "\n\n" if "\n" in form else "\n")) for name, form in _LABELLED.items()),
    Shape("from-one", "from-one", _from_one),
    Shape("preamble", "preamble", _after_preamble("\n", numbered)),
    Shape("preamble-blank-line", "preamble", _after_preamble("\n\n", numbered)),
    Shape("preamble-bullets", "preamble", _after_preamble("\n\n", bulleted)),
    Shape("blank-lines", "blank-lines", continued("{n}. {t}", "\n\n")),
    Shape("blank-lines-own-number", "blank-lines", _spaced),
    *(Shape(name, "bold-title", each(form, "\n\n" if "\n" in form else "\n")) for name, form in _TITLED.items()),
    Shape("bold-item", "bold-item", each("{n}. **{t}**")),
    Shape("bold-item-and-number", "bold-item", each("**{n}. {t}**")),
    Shape("quoted-item", "quoted-item", in_quotes),
    Shape("sub-bullets", "sub-bullets", with_sub_bullets),
    Shape("closing", "closing", _before_closing("\n\n", _plain)),
    Shape("closing-next-line", "closing", _before_closing("\n", _plain)),
    Shape("chatty", "chatty", _after_preamble("\n\n", _before_closing("\n\n", _spaced))),
    Shape(
        "chatty-titles", "chatty", _after_preamble("\n\n", _before_closing("\n\n", each(_TITLED["bold-title"], "\n\n")))
    ),
    Shape("bullets", "bullets", bulleted),
    Shape("heading", "heading", _under_heading),
    Shape("rules", "rules", each("{n}. {t}", "\n\n---\n\n")),
    Shape("rules-tight", "rules", each("{n}. {t}", "\n---\n")),
    Shape("fence", "fence", around(fenced, numbered)),
    Shape("fence-after-preamble", "fence", _after_preamble("\n\n", around(fenced, numbered))),
    Shape("end-token", "end-token", around(ended, _plain)),
    *wrapped_shapes(THINKING, "thinking/", Shape("", "", _plain)),
    Shape("thinking-aloud", "thinking-aloud", _thinking_aloud, readable=False),
    Shape("windows", "windows", around(with_windows_line_ends, _plain)),
    Shape("wrapped", "wrapped", wrapped),
    Shape("one-line", "one-line", on_one_line),
    Shape("table", "table", in_table),
)
