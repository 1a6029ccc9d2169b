"""Signs of a text that was parsed wrongly, as patterns that know neither the writer nor the parser.

Texts are searched with straight apostrophes and in any letter case.
"""

import re
from dataclasses import dataclass

_FLAGS = re.IGNORECASE | re.MULTILINE

_LABEL = r"(?:instruction|input|output|class label|answer|task(?: \d+)?|example \d+|instraction)"
_SENTENCE_END = r"[.?!]['\")\]*]*"


@dataclass(frozen=True)
class Sign:
    """A fault, and the pattern that finds it."""

    fault: str
    pattern: re.Pattern[str]


def _sign(fault: str, *alternatives: str) -> Sign:
    return Sign(fault, re.compile("|".join(f"(?:{each})" for each in alternatives), _FLAGS))


_CLOSINGS = (
    r"(?:please )?let me know (?:if|whether)",
    r"feel free to",
    r"(?:i )?hope (?:this|these)",
    r"happy to (?:adjust|provide)",
    r"would you like me to",
    r"is there anything else",
    r"if you (?:want|like), i",
    r"i can provide",
    r"i tried to make",
    r"note: (?:all|these)",
    r"that covers the",
    r"that's the full",
    r"these (?:tasks|instructions|examples)",
    r"each (?:task|example) differs",
    r"this completes",
)

ANYWHERE = (
    _sign(
        "special token",
        r"<\|[\w|]*[^>\n]{0,40}>",
        r"</?s>",
        r"\[/?INST\]",
        r"</?(?:think|thinking|thought|reasoning)>",
        r"\[/?THINK\]",
        r"<(?:start|end)_of_turn>",
        r"<channel\|>",
        r"assistantfinal",
        r"\A(?:assistant)?analysis(?-i:[A-Z])",
    ),
    _sign("no-input mark", r"<\s*no ?input\s*>"),
    _sign("control character", "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028\u2029\ufeff\ufffd]"),
    _sign("piece of JSON", r"\"(?:instructions?|input|output|instances|tasks|is_classification)\"\s*:"),
    _sign("separator", r"^\s*#{3,}\s*$", r"\A\s*(?:-{3,}|\*{3,}|_{3,})\s*$", r"^\s*(?:-{3,}|\*{3,}|_{3,})\s*\Z"),
    _sign(
        "label",
        rf"^[\W_]{{0,6}}(?:\d+[.)]\s*)?[\W_]{{0,4}}{_LABEL}[\W_]{{0,3}}:",
        r"\A[\W_]*(?:task|example)\s+\d+\W*$",
    ),
    _sign("fused tasks", rf"{_SENTENCE_END}\s+(?:\d+[.)]\s*)?\**{_LABEL}\s*\d*\**:"),
    _sign(
        "thinking",
        r"\A(?:okay, (?:so|let)|hmm|wait,|let me (?:think|draft)|thinking process|here is my thinking|\*\*thinking)",
        r"\A(?:okay, )?(?:the user (?:wants|asked|asks)|i should|i need to|we need to)\b",
    ),
    _sign(
        "refusal",
        r"\A(?:i'm|i am) (?:sorry|afraid|unable|not (?:able|comfortable)|an ai)\b",
        r"\A(?:sorry, |unfortunately, )(?:but )?i\b",
        r"\Ai (?:apologi[sz]e|cannot|can't|won't|must decline|don't feel able)\b",
        r"\Aas an ai\b",
        r"\Amy apologies\b",
    ),
    _sign(
        "preamble",
        r"\A(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|alright|great(?: question)?|no problem)[!,.:]",
        r"\A(?:here(?:'s| is| are| it| you)|below|the following|continuing|following|i(?:'d| have)|let's)\b[^\n]*:\s*$",
        r"\A(?:more tasks|examples|json|output in json format):\s*$",
        r"\Amore tasks: ",
        r"\Ahere(?:'s| are) (?:some|the|more|\w+ more|\w+ diverse)\b[^\n:]*(?:tasks|list|instructions)",
    ),
    _sign("closing remark", rf"(?:^|[.?!]\s+)(?:{'|'.join(_CLOSINGS)})\b[^\n]*\Z"),
)
INSTRUCTION = (
    _sign("list number", r"\A[\s*_#>(\"'\u201c]*\d{1,3}\s*[.):\u3001\uff0e\uff09*]", r"\A[\s(]*[\uff10-\uff19]+"),
    _sign("bullet", r"\A\s*[-*+\u2022]\s"),
    _sign("heading", r"\A\s*#+\s"),
    _sign("bold mark", r"\*\*|__", r"\A\*[^*]+\*\Z"),
    _sign("quotation marks", r"\A\s*\"[^\"]*\"\W*\Z", r"\A\s*\u201c"),
    _sign("code fence", r"```|~~~"),
    _sign("table", r"\A\s*\||\|\s*\Z"),
    _sign("line break", r"\n"),
    _sign(
        "fused tasks",
        rf"{_SENTENCE_END}\s+\**\(?\d{{1,3}}(?:[.)]\**\s|[\u3001\uff0e\uff09])",
        rf"{_SENTENCE_END}\s+(?:[-*+\u2022]|[a-z]\))\s+\w",
    ),
    _sign(
        "truncated", r"[,;:(\-\u2013]\s*\Z", r"\b(?:and|or|the|a|an|of|to|with|in|for|by|that|which|is|as|from|on|at)\Z"
    ),
)
TEXT = (
    _sign("whole in bold", r"\A\s*(?:\d+[.)]\s*)?\*\*[^*\n]+\*\*\s*\Z"),
    _sign("bold mark", r"\A\s*\*\*\s"),
    _sign("list number", r"\A\s*\(?\d{1,2}[.)]\s*\Z", r"\n\s*\d{1,2}[.)]\s*\Z"),
    _sign("truncated", r"\s\S+\s+(?:\S*[,(]|and|or|the|a|an|of|with|for|that|which)\Z"),
)
INPUT = (_sign("label in bold", r"\A\s*\*\*\w[\w ]*:?\*\*:?\s"),)
