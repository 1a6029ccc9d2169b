"""Refusals in place of an answer. Letters apologise too, so a refusal has to name an act that assistants refuse."""

import re

from service.selfinstruct.replies.directives import goes_on_to_ask
from service.selfinstruct.replies.phrases import any_of, start_of

_MACHINE = any_of(r"ai\b", r"artificial intelligence", r"(?:large )?language model", r"llm\b")
_UNABLE = any_of(
    r"i (?:can't|cannot|can not|could not|couldn't|won't|will not|do not|don't)",
    r"i(?: am|'m) (?:not able|unable) to",
    r"i (?:must|have to) decline to",
)
_ASSISTING = any_of(
    r"(?:be able to )?(?:help(?! but| feeling| \w+ing\b)|assist|comply|fulfil|provide|create|generate|produce)",
    r"continue (?:with|th)",
    r"write (?:that|this|such|any|the|about|tasks|instructions|content)",
    r"(?:engage|participate) in",
    r"(?:support|discuss|access) th",
    r"do that",
    r"(?:be able to )?(?:complete|answer) (?:this|that|your|the)",
    r"feel (?:able|comfortable)",
    r"have (?:access|the ability|enough|personal)",
    r"browse",
)
_SORRY = any_of(
    r"(?:i'm|i am) (?:so |very |really |truly )?sorry",
    r"sorry",
    r"(?:my )?(?:sincere )?apologies",
    r"i apologi[sz]e",
    r"unfortunately",
    r"regrettably",
)
_REFUSALS = any_of(
    rf"{_SORRY}\b[^.!?\n]{{0,60}}?{_UNABLE} {_ASSISTING}",
    rf"{_SORRY}[,.]? (?:but )?(?:this|that|your) (?:request|is not something)",
    rf"{_UNABLE} {_ASSISTING}",
    rf"(?:i'm|i am|since i'm) (?:just |only |merely )?an? {_MACHINE}",
    rf"(?:as|being) (?:just |only |merely )?an? {_MACHINE}[^.!?\n]{{0,60}}?,? i\b",
    r"(?:it is|it's|it would be) not (?:possible|appropriate|something) (?:for me|i can)",
    r"i(?: am|'m) not (?:comfortable|allowed|permitted|designed|programmed)\b",
    rf"{_SORRY}[,.]? (?:but )?(?:this|that|it) (?:goes|is|lies) (?:beyond|outside|against)",
    r"i (?:must|have to) (?:respectfully )?decline",
    r"i (?:respectfully )?decline to",
)
_REFUSAL = re.compile(_REFUSALS)


def is_refusal(text: str) -> bool:
    """Return whether a text says that the model will not, or cannot, do the task."""
    return _REFUSAL.match(start_of(text)) is not None


def is_refused_task(instruction: str) -> bool:
    """Return whether a text in place of a task is a refusal; one that then asks for something is a task."""
    return is_refusal(instruction) and not goes_on_to_ask(start_of(instruction))
