"""The shapes of a verdict on whether a task is a classification task: `write(rng, answer)`."""

import random
from collections.abc import Callable

from tests.fakes.chat.shapes import Shape, around, wrapped_shapes
from tests.fakes.chat.words import table
from tests.fakes.chat.wrappings import THINKING, ended

VerdictWriter = Callable[[random.Random, bool], str]

_FORMS = {
    "paper": (" {Yes}", "{Yes}"),
    "stop": ("{Yes}.", "{Yes}!", " {Yes}.\n"),
    "bold": ("**{Yes}**", "**{Yes}.**", "*{Yes}*"),
    "blank-lines": ("\n\n{Yes}", "\n{Yes}\n"),
    "reason": (
        "{Yes}, {because}",
        "{Yes}. {Because}",
        "{Yes} \N{EN DASH} {because}",
        "{Yes} - {because}",
        "{Yes}\n\n{Because}",
    ),
    "label": ("Answer: {Yes}", "**Answer:** {Yes}", "Is it classification? {Yes}", "Classification: {Yes}"),
    "sentence": ("The answer is **{yes}**.", "The answer is {yes}.", "My answer is: {Yes}", "I would say {yes}."),
    "case": ("{yes}", "{YES}", "{yes}."),
    "quoted": ('"{Yes}"', "'{Yes}'", "`{Yes}`", '"{Yes}."'),
}
_BECAUSE_YES = table(
    """this is a classification task. | it asks for one label out of a few. |
    the answer has to be one of the given labels. | it is, since only a fixed set of answers is possible. |
    the model must choose between categories."""
)
_BECAUSE_NO = table(
    """this is not a classification task. | the answer is open. | it asks for free text. |
    it isn't, since there is no fixed set of labels. | many different answers are possible."""
)

UNREADABLE_VERDICTS = (
    "Okay, the",
    "",
    "It depends on how the labels are defined.",
    "It depends",
    "I'm sorry, but I can't help with that.",
    "Hmm, let me think about",
    "The task asks the model to",
    "Thinking Process:",
    "This could be seen either way.",
    "Task: Name a river in Asia.",
    "Classification",
    "I think that",
)


def _written(*forms: str) -> VerdictWriter:
    def write(rng: random.Random, answer: bool) -> str:  # noqa: FBT001 - what a verdict says
        word = "Yes" if answer else "No"
        because = rng.choice(_BECAUSE_YES if answer else _BECAUSE_NO)
        reason = {"because": because, "Because": because[0].upper() + because[1:]}
        return rng.choice(forms).format(Yes=word, yes=word.lower(), YES=word.upper(), **reason)

    return write


_plain: VerdictWriter = _written("{Yes}")

VERDICT_SHAPES: tuple[Shape, ...] = (
    *(Shape(kind, kind, _written(*forms)) for kind, forms in _FORMS.items()),
    *wrapped_shapes(THINKING, "thinking/", Shape("", "", _plain)),
    Shape("end-token", "end-token", around(ended, _plain)),
)
UNREADABLE_VERDICT = Shape("unreadable", "unreadable", lambda rng, _: rng.choice(UNREADABLE_VERDICTS), readable=False)
