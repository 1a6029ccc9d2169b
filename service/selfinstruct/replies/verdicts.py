"""Yes or no, in the various wordings of models."""

import re

from service.selfinstruct.replies.json_text import Json, read_json
from service.selfinstruct.replies.leaks import clean_reply
from service.selfinstruct.replies.refusals import is_refusal

_WORDS = {"yes": True, "true": True, "no": False, "false": False}
_AGREEMENT = (
    r"(?:(?:sure|certainly|of[ ]course|okay|ok|no[ ](?:problem|doubt[ ]about[ ]it)|absolutely)[ ]?[!,.:][\W_]*+)?+"
)
_FIRST_WORD = re.compile(
    rf"[\W_]*+{_AGREEMENT}(?:boxed[\W_]++)?+"
    r"(?:(?:(?:the|my)[ ])?(?:final[ ])?(?:answer|response|classification|label|verdict|output|a|is_classification)"
    r"(?:[ ]is)?[\W_]++)?+"
    r"(?:i[ ](?:would[ ]say|think|say)[\W_]++)?+"
    r"(?:is[ ]it[ ](?:a[ ])?classification[\W_]++)?+"
    r"(?P<word>yes|no|true|false)\b(?![ -](?:(?:and|or)[ -](?:yes|no)|problem|doubt|worries|need)\b)",
    re.IGNORECASE,
)
_LAST_WORD = re.compile(
    r"(?:\b(?:so|therefore|thus|hence|answer[ ]is|answer:)[,:]?[ ]++"
    r"(?:the[ ](?:final[ ])?answer[ ]is[ ]|it(?:[ ]is|'s)[ ])?|[.!?;:]\s++)"
    r"[*_\"']*+(?P<word>yes|no)[*_\"']*+[.!]?+\s*+$",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    r"(?P<no>\b(?:not|no|never)\b|n't|n\u2019t)?[\W_]{0,3}+(?:really[ ]|clearly[ ]|strictly[ ]|considered[ ])?+"
    r"(?:(?:an?|as[ ]an?)[ ])?+[*_\"']*+classification[ ]task\b",
    re.IGNORECASE,
)
_STATES = re.compile(
    r"[\W_]*+(?:(?:based[ ]on|according[ ]to|given)\b[^.,\n]{0,60}+,[ ])?+"
    r"(?:it|this|that|the[ ](?:given[ ])?(?:task|instruction))\b"
    r"|[\W_]*+(?:not|no|a)\b",
    re.IGNORECASE,
)
_NAMED = re.compile(r"[\"']is_classification[\"']\s*+:\s*+[\"']?+(?P<word>true|false|yes|no)\b", re.IGNORECASE)
_READ = 400


def read_verdict(reply: str) -> bool | None:
    """Return whether a reply says yes; None if it says neither yes nor no, says both, or consists of thinking only."""
    text = clean_reply(reply).strip()
    for value in read_json(text).values:
        if (verdict := _verdict_in(value)) is not None:
            return verdict
    named = {_WORDS[word.lower()] for word in _NAMED.findall(text)}
    if named:
        return named.pop() if len(named) == 1 else None
    said = {
        verdict for verdict in (_first_word(text), _last_word(text), _sentence(text[:_READ])) if verdict is not None
    }
    return said.pop() if len(said) == 1 else None


def _first_word(text: str) -> bool | None:
    word = _FIRST_WORD.match(text)
    return None if word is None or is_refusal(text) else _WORDS[word["word"].lower()]


def _last_word(text: str) -> bool | None:
    word = _LAST_WORD.search(text[-_READ:])
    return None if word is None else _WORDS[word["word"].lower()]


def _sentence(text: str) -> bool | None:
    """Return the verdict of a reply that begins with a statement about the task; None if it is not unanimous."""
    if _STATES.match(text) is None:
        return None
    said = {found["no"] is None for found in _SENTENCE.finditer(text)}
    return said.pop() if len(said) == 1 else None


def _verdict_in(value: Json) -> bool | None:
    """Return the verdict that a JSON value is or contains; None unless it is the only one."""
    if isinstance(value, list):
        return _verdict_in(value[0]) if len(value) == 1 else None
    if isinstance(value, dict):
        named = value.get("is_classification")
        found = [_verdict_in(each) for each in ([named] if named is not None else value.values())]
        known = [verdict for verdict in found if verdict is not None]
        return known[0] if len(known) == 1 else None
    if isinstance(value, bool):
        return value
    return _WORDS.get(value.strip().lower()) if isinstance(value, str) else None
