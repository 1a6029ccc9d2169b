"""Texts about an answer, or in place of one: announcements, closing remarks, questions back, thinking aloud.

All are recognised by their beginnings, in lower case and with plain apostrophes (`phrases.start_of`).
"""

import re

from service.selfinstruct.replies.directives import goes_on_to_ask
from service.selfinstruct.replies.phrases import AGREEMENTS, WILLING, WORDS_OF_AN_AGREEMENT, any_of, start_of

_ITEMS = any_of(
    r"tasks?",
    r"instructions?",
    r"examples?",
    r"questions?",
    r"prompts?",
    r"items?",
    r"instances?",
    r"entries",
    r"set",
    r"list",
    r"lines",
    r"outputs?",
    r"answers?",
    r"solutions?",
    r"responses?",
    r"continuation",
    r"json",
)
_MATERIAL = any_of(
    r"text",
    r"input",
    r"article",
    r"passage",
    r"sentences?",
    r"context",
    r"details?",
    r"information",
    r"list",
    r"paragraph",
    r"data",
    r"code",
    r"document",
    r"e-?mail",
    r"content",
    r"message",
    r"review",
    r"story",
    r"poem",
    r"question",
    r"statement",
    r"example",
    r"topic",
    r"task",
    r"instruction",
    r"words?",
    r"numbers?",
    r"recipe",
    r"transcript",
)

_MADE = any_of(
    r"created",
    r"written",
    r"generated",
    r"prepared",
    r"come up",
    r"added",
    r"made",
    r"put together",
    r"compiled",
    r"continued",
    r"completed",
    r"listed",
    r"tried",
    r"drafted",
    r"produced",
)
_MAKE = any_of(
    r"continue",
    r"write",
    r"provide",
    r"generate",
    r"create",
    r"list",
    r"give",
    r"add",
    r"complete",
    r"produce",
    r"come up",
    r"start",
    r"begin",
    r"keep",
    r"go on",
    r"work through",
    r"present",
    r"share",
    r"fill",
    r"finish",
)
_ANNOUNCING = any_of(
    r"here(?:'s| are| is| comes?)",
    r"below (?:are|is|you)",
    r"the following (?:are|is)",
    r"these are",
    rf"(?:i've|i have) (?:\w+ )?{_MADE}",
    rf"(?:i'll|i will|let me|let's) (?:\w+ )?{_MAKE}",
    r"as requested",
    r"to continue",
    r"continuing",
)
_ANNOUNCEMENTS = rf"{_ANNOUNCING}\b[^\n]{{0,160}}?\b{_ITEMS}\b[^\n.?:]{{0,120}}[:.!]?$"

_USER_WANTS = r"the user (?:wants?|needs?|asked|asks|is asking)\b"
_THINKING_ALOUD = (
    r"(?:okay|ok|alright|hmm)[,.]? "
    r"(?:so |let me |let's |first|now|the (?:user|task|prompt|list)|i (?:need|should|must))"
)
_HEADED_THINKING = (
    r"(?:here(?:'s| is) (?:my |a )?)?(?:thinking|thought|reasoning)(?: (?:process|steps))? ?[*_]{0,2}(?::|\n|$)"
)
_THOUGHTS = any_of(
    _USER_WANTS,
    _HEADED_THINKING,
    _THINKING_ALOUD,
    r"(?:well|so|right)[,.]? (?:let's |let me |the (?:user|task|prompt|list)|i (?:need|should|must))",
    r"(?:let me|let's) (?:think|analy[sz]e|break|see|start by|consider|work through|look|draft|(?:double-)?check)",
    r"we (?:need|should|must|have) to\b",
    r"i (?:need|have|should|must|am asked|was asked) (?:to )?"
    r"(?:continue|come up|generate|produce|think|figure|keep|avoid|vary)\b",
)

_AFTERWORDS = any_of(
    r"(?:i (?:really )?)?hope (?:this|that|these|those|it) (?:helps?|meets?|works?|is|are)\b",
    rf"(?:i (?:really )?)?hope (?:these|those|the) {_ITEMS}\b",
    r"(?:please )?let me know\b"
    r"(?: (?:if|whether|when|should|what you|how (?:i|this|these|it|you)|in case|your|any|once)|[.!]|$)",
    r"(?:please )?feel free to (?:ask|let|reach|use|modify|adapt|adjust|change|add)",
    r"(?:would|do) you (?:like|want|need) me to\b",
    rf"(?:all (?:of )?|each of )?these (?:new |diverse |additional )?{_ITEMS}\b",
    r"as an? (?:ai|language model)",
    r"(?:\[continue|\(continue|user:|human:|</?(?:answer|output|response|tasks?|list|end)>)",
    r"\(?(?:note: )?i (?:stopped|will stop|can continue|could continue)\b",
    r"\(?no input (?:is )?(?:needed|required|necessary)",
    r"if you (?:have any (?:other|further|more)|need (?:more|anything else|further))\b",
    r"(?:done|end)[.!]?$",
    r"(?:these|they|this)\b[^\n.]{0,40}\b(?:covers?|shows?|include)\b[^\n.]{0,40}\b(?:labels|categories|classes|cases)\b",
    r"since (?:this|the) task\b",
)
_CLOSINGS = any_of(
    _AFTERWORDS,
    r"(?:i (?:really )?hope|hopefully|hope)\b",
    r"(?:please )?feel free\b",
    r"(?:if|in case) you(?:'d| would| need| want| have| wish|'re)\b",
    r"overall,",
    r"(?:and so on|etc|end|done|the end)[.!]?$",
    r"\[?continue(?:d)?\b",
    r"(?:user|human):",
    r"</",
    r"(?:would|do) you (?:like|want|need)\b",
    r"should i (?:go on|continue|write|add)\b",
    r"(?:i|we) (?:can|could|would be happy to|am happy to)\b",
    r"(?:is there )?anything else\b",
    r"happy to (?:help|write|provide|add|adjust|continue|generate)",
    r"(?:all (?:of )?|each of |together,? )?(?:these|those)\b",
    rf"(?:this|that|the) (?:\w+ )?(?:{_ITEMS}|collection|selection|mix|variety)\b",
    r"that(?:'s| is| should| covers?)\b",
    r"i(?:'ve| have)? (?:tried|made|kept|avoided|varied|aimed|included|added|written|covered|mixed|chose|chosen)\b",
    r"there (?:you (?:go|have)|are more)",
    r"\(?note(?: that)?\b",
    r"good luck",
    r"enjoy",
    r"have fun",
    r"end of (?:list|tasks|answer)",
)
_ABOUT_ITEMS = rf"(?:these|those|the|every|each|all|more|new|any|further|other|additional) (?:\w+ ){{0,2}}{_ITEMS}\b"
_PARTS_OF_AN_ANSWER = any_of(r"tasks?", r"instructions?", r"examples?", r"instances?", r"prompts?")
_MORE = any_of(_PARTS_OF_AN_ANSWER, r"list", r"more", r"further", r"another", r"adjust\w*", r"changes?", r"else")
_AFTER_AN_OUTPUT = any_of(
    _AFTERWORDS,
    rf"(?:this|that|these|those|each|every|all|the)(?:'s)? (?:\w+ ){{0,4}}?{_PARTS_OF_AN_ANSWER}\b",
    r"(?:this|that)(?:'s| is| covers| completes| concludes| ends) (?:\w+ ){0,4}?(?:list|cases|set)\b",
    r"(?:is there )?anything else\b",
    rf"\(?note(?: that|:)? (?:\w+ ){{0,2}}?{_PARTS_OF_AN_ANSWER}\b",
    any_of(
        r"(?:if|in case) you\b",
        r"(?:would|do) you\b",
        r"i (?:can|could|tried|have|made)\b",
        r"i've\b",
        r"happy to\b",
        r"should i\b",
    )
    + rf"[^\n.?!]{{0,80}}?\b{_MORE}\b",
)
_QUESTIONS_BACK = (
    any_of(
        r"please",
        r"could you(?: please)?",
        r"can you(?: please)?",
        r"you (?:have(?:n't| not)|did(?:n't| not))",
        r"i (?:would )?need(?: you to)?",
    )
    + " "
    + any_of(
        r"provided?",
        r"shared?",
        r"paste",
        r"specif(?:y|ied)",
        r"clarify",
        r"included?",
        r"supply",
        r"to see",
    )
    + rf"\b[^\n.?!]{{0,30}}?\b{_MATERIAL}\b"
)

_OPENING = re.compile(any_of(AGREEMENTS, WILLING, _ANNOUNCEMENTS, _THOUGHTS))
_NO_TASK = re.compile(
    any_of(AGREEMENTS, WILLING, _ANNOUNCEMENTS, _USER_WANTS, _THINKING_ALOUD, _HEADED_THINKING, _AFTERWORDS)
)
_ANNOUNCEMENT = re.compile(rf"(?:{AGREEMENTS} ?)?{_ANNOUNCEMENTS}")
_CLOSING = re.compile(_CLOSINGS)
_ABOUT = re.compile(_ABOUT_ITEMS)
_AFTERWORD = re.compile(_AFTER_AN_OUTPUT)
_QUESTION_BACK = re.compile(rf"(?:{AGREEMENTS} ?)?(?:[^\n.!?]{{0,60}}?[,.!] )?{_QUESTIONS_BACK}")
_WANTED = re.compile(_USER_WANTS)
_HEADED = re.compile(_HEADED_THINKING)
_ALOUD = re.compile(any_of(_USER_WANTS, _THINKING_ALOUD, _HEADED_THINKING))

_LONGEST_REMARK_WORDS = 25


def is_opening(text: str) -> bool:
    """Return whether a line or short paragraph before an answer only announces it, agrees, or thinks aloud."""
    beginning = start_of(text)
    return _OPENING.match(beginning) is not None and not _is_request(beginning)


def only_announces(line: str) -> bool:
    """Return whether a line before an answer has no content of its own: a letter may begin with `Sure, I will come`."""
    beginning = start_of(line).rstrip()
    if _OPENING.match(beginning) is None:
        return False
    ends = beginning.rstrip("*_").endswith(":") or len(beginning.split()) <= WORDS_OF_AN_AGREEMENT
    return ends or _ANNOUNCEMENT.match(beginning) is not None


def is_closing(text: str) -> bool:
    """Return whether a paragraph after an answer is a remark about it."""
    beginning = start_of(text)
    is_short = len(beginning.split()) <= _LONGEST_REMARK_WORDS
    return _CLOSING.match(beginning) is not None or (is_short and _ABOUT.search(beginning) is not None)


def is_afterword(text: str) -> bool:
    """Return whether a paragraph after an output is a remark about it; stricter, since outputs may end in any words."""
    beginning = start_of(text)
    return len(beginning.split()) <= _LONGEST_REMARK_WORDS and _AFTERWORD.match(beginning) is not None


def is_no_task(text: str) -> bool:
    """Return whether a text in place of a task is talk about tasks."""
    beginning = start_of(text)
    return _NO_TASK.match(beginning) is not None and not _is_request(beginning)


def asks_back(text: str) -> bool:
    """Return whether a text in place of an output asks for the material to work on."""
    return _QUESTION_BACK.match(start_of(text)) is not None


def is_thinking_aloud(text: str) -> bool:
    """Return whether a text in place of an output is the model's reasoning."""
    return _ALOUD.match(start_of(text)) is not None


def is_headed_thinking(text: str) -> bool:
    """Return whether a text begins with a heading such as `Thinking Process:`."""
    return _HEADED.match(start_of(text)) is not None


def _is_request(beginning: str) -> bool:
    """Return whether a text begins with a user's wish (`The user wants …`) and then asks for something."""
    return _WANTED.match(beginning) is not None and goes_on_to_ask(beginning)
