"""Yes or no, in the words that models find for it."""

import re

from service.selfinstruct.replies.chatter import is_refusal
from service.selfinstruct.replies.json_text import Json, read_json
from service.selfinstruct.replies.leaks import clean_reply

_WORDS = {"yes": True, "true": True, "no": False, "false": False}
_FIRST_WORD = re.compile(
    r"[\W_]*+(?:(?:(?:the|my)[ ])?(?:final[ ])?(?:answer|response|classification|label|verdict)(?:[ ]is)?[\W_]++)?+"
    r"(?:i[ ](?:would[ ]say|think|say)[\W_]++)?+"
    r"(?:is[ ]it[ ](?:a[ ])?classification[\W_]++)?+(?P<word>yes|no|true|false)\b(?![ ](?:and|or)[ ](?:yes|no)\b)",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    r"[\W_]*+(?:it|this|that|the[ ](?:given[ ])?task|the[ ]instruction)(?:[ ]task)?(?:[ ]is|'s|\u2019s)[ ]"
    r"(?P<not>not[ ])?(?:an?[ ]|clearly[ ])?classification\b",
    re.IGNORECASE,
)


def read_verdict(reply: str) -> bool | None:
    """Return whether a reply says yes; none where it says neither, or where nothing is left of it."""
    text = clean_reply(reply).strip()
    for value in read_json(text).values:
        if (verdict := _verdict_in(value)) is not None:
            return verdict
    if (word := _FIRST_WORD.match(text)) is not None and not is_refusal(text):
        return _WORDS[word["word"].lower()]
    sentence = _SENTENCE.match(text)
    return None if sentence is None else sentence["not"] is None


def _verdict_in(value: Json) -> bool | None:
    """Return the verdict that a JSON value is, or holds alone."""
    if isinstance(value, dict):
        named = value.get("is_classification")
        found = [_verdict_in(each) for each in ([named] if named is not None else value.values())]
        known = [verdict for verdict in found if verdict is not None]
        return known[0] if len(known) == 1 else None
    if isinstance(value, bool):
        return value
    return _WORDS.get(value.strip().lower()) if isinstance(value, str) else None
