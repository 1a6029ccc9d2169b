"""Remarks of a chat model behind its answer."""

import re
from collections.abc import Callable, Sequence

from service.selfinstruct.replies.markup import FENCE

SALUTATION = re.compile(
    r"[#*_> \t]*+(?:[\w. ]{0,20}output[*_]*+:[*_]*+\s*+)?+"
    r"(?:dear|hi|hello|hey|to whom|subject|good (?:morning|day|evening))\b",
    re.IGNORECASE,
)
_SIGN_OFF = re.compile(
    r"\s*+(?:(?:(?:with|kind|best|warm(?:est)?|many) )?(?:kind |best |many )?(?:regards|wishes|thanks|love)"
    r"|yours(?: \w+)?|sincerely|cheers|all the best)\b.{0,20}",
    re.IGNORECASE,
)
_LAST_LINES = 4
_SPEAKS_OF_ANSWERS = re.compile(r"\b(?:tasks?|instructions?|examples?|instances?|prompts?)\b", re.IGNORECASE)


def without_last_remark(
    lines: Sequence[str], is_remark: Callable[[str], bool], is_content: Callable[[str], bool]
) -> list[str]:
    """Return lines without the paragraphs at their end that are remarks and hold no content.

    A letter may end in the same words, so a remark after a letter has to mention tasks or examples.
    """
    kept = list(lines)
    start = next((place for place in range(len(kept) - 1, -1, -1) if is_content(kept[place])), 0)
    in_letter = any(map(SALUTATION.match, kept[start:]))
    while True:
        while kept and (not kept[-1].strip() or _is_remark_about_answers(kept, is_remark)):
            kept.pop()
        blank = next((place for place in range(len(kept) - 1, 0, -1) if not kept[place].strip()), None)
        if blank is None:
            return kept
        paragraph = " ".join(kept[blank + 1 :])
        goes_on = in_letter and not any(map(_SIGN_OFF.match, kept[max(start, blank - _LAST_LINES) : blank]))
        if not is_remark(paragraph) or (goes_on and _SPEAKS_OF_ANSWERS.search(paragraph) is None):
            return kept
        if any(is_content(line) or FENCE.fullmatch(line) for line in kept[blank + 1 :]):
            return kept
        del kept[blank:]


def _is_remark_about_answers(lines: Sequence[str], is_remark: Callable[[str], bool]) -> bool:
    """Return whether the last line is a remark that mentions tasks or examples; a single line is an answer."""
    line = lines[-1]
    if not is_remark(line) or _SPEAKS_OF_ANSWERS.search(line) is None or line.lstrip().startswith(("#", ">")):
        return False
    return any(above.strip() for above in lines[:-1])
