"""Phrases around an output that introduce it or offer more, and that are not part of it."""

import re

from service.selfinstruct.replies.phrases import AGREEMENTS, WILLING, WORDS_OF_AN_AGREEMENT, any_of, start_of
from service.selfinstruct.replies.remarks import SALUTATION

_OFFER = re.compile(
    r"(?:please )?(?:let me know|feel free to ask|would you like|do you want|i can also)\b[^\n.?!]{0,60}\b"
    + any_of(
        r"another",
        r"adjust\w*",
        r"changes?",
        r"different",
        r"revis\w*",
        r"modif\w*",
        r"shorter",
        r"longer",
        r"more \w+s",
    )
    + r"\b[^\n]{0,60}$"
)
_HANDED_OVER = re.compile(
    r"(?:(?:sure|certainly|of course|absolutely|great question|good question)(?: thing)?[!.][ ]++"
    r"(?:here(?:'s| is| are) [^\n:.]{1,40}:[ ]*+)?+"
    r"|(?:sure, )?here(?:'s| is) (?:the|an?|your|one) [^\n:.]{1,40}:[ ]++(?=\S))",
    re.IGNORECASE,
)
_LAST_OFFER = re.compile(
    r"(?:(?<=[.!?\n])|(?<=```))\s++(?:please )?"
    r"(?:let me know if (?:you (?:need|want|have|would like|'d like|wish)|there(?:'s| is))[^\n.!?]{0,80}"
    r"|i hope (?:this|that|it) (?:helps|is helpful)[^\n.!?]{0,40}"
    r"|(?:is there|do you need) anything else[^\n.!?]{0,60}|feel free to (?:ask|reach out)[^\n.!?]{0,60}"
    r"|sure thing)[.!?]+\s*$",
    re.IGNORECASE,
)
_LONGEST_OFFER = 160
_HERE_IS = re.compile(r"(?:and |so )?here(?:'s| is| are)\b")
_AGREEING = re.compile(any_of(AGREEMENTS, WILLING))
_LONGEST_HAND_OVER = 60


def without_talk(output: str) -> str:
    """Return an output without its introduction (`Here is a haiku:`) and the offer of more after it.

    A letter may end in such an offer, so the last sentence of a text with a salutation is kept.
    """
    text = _without_preamble(output)
    if (handed := _HANDED_OVER.match(text)) is not None and text[handed.end() :].strip():
        text = text[handed.end() :].strip()
    before, blank, last = text.rpartition("\n\n")
    if blank and before.strip() and _OFFER.match(start_of(last)) is not None:
        text = before.rstrip()
    offer = _LAST_OFFER.search(text, max(0, len(text) - _LONGEST_OFFER))
    is_answer = offer is not None and text[: offer.start()].strip() and SALUTATION.match(text) is None
    return text[: offer.start()].rstrip() if offer is not None and is_answer else text


def _without_preamble(output: str) -> str:
    line, _, rest = output.partition("\n")
    beginning = start_of(line).rstrip("*_ ")
    if not rest.strip() or not beginning.endswith((":", "!")) or not (rest.startswith(("\n", "```")) or ":" in line):
        return output
    agrees = _AGREEING.match(beginning)
    hands_over = beginning.endswith(":") and _HERE_IS.search(beginning[:_LONGEST_HAND_OVER]) is not None
    is_first = hands_over and (agrees is not None or _HERE_IS.match(beginning) is not None)
    alone = agrees is not None and len(beginning.split()) <= WORDS_OF_AN_AGREEMENT and rest.startswith("\n")
    return rest.strip("\n") if is_first or alone else output
