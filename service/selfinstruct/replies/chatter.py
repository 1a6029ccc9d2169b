"""Texts about an answer in the place of one: refusals, announcements, closing remarks, questions back.

All are judged by how they begin, in lower case and with plain apostrophes. A letter may be sorry, and a story may be
unable to go on: a refusal has to name what assistants refuse.
"""

import re

from service.selfinstruct.replies.directives import goes_on_to_ask
from service.selfinstruct.replies.markup import SALUTATION


def _any(*alternatives: str) -> str:
    return f"(?:{'|'.join(alternatives)})"


_ITEMS = _any(
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
_MATERIAL = _any(
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
_MACHINE = _any(r"ai\b", r"artificial intelligence", r"(?:large )?language model", r"llm\b")
_UNABLE = _any(
    r"i (?:can't|cannot|can not|could not|couldn't|won't|will not|do not|don't)",
    r"i(?: am|'m) (?:not able|unable) to",
    r"i (?:must|have to) decline to",
)
_ASSISTING = _any(
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
_SORRY = _any(
    r"(?:i'm|i am) (?:so |very |really |truly )?sorry",
    r"sorry",
    r"(?:my )?(?:sincere )?apologies",
    r"i apologi[sz]e",
    r"unfortunately",
    r"regrettably",
)
_REFUSALS = _any(
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

_AGREEMENTS = (
    _any(
        r"sure",
        r"certainly",
        r"of course",
        r"absolutely",
        r"definitely",
        r"gladly",
        r"great(?: question)?",
        r"okay",
        r"ok",
        r"alright",
        r"all right",
        r"no problem",
        r"understood",
        r"got it",
        r"(?:with|my) pleasure",
        r"perfect",
    )
    + r"(?: thing)? ?[!,.:;\u2013\u2014-]"
)
_WILLING = r"(?:i'd|i would|i'll|i will|i'm|i am) (?:be )?(?:more than )?(?:happy|glad|delighted|pleased) to\b"
_MADE = _any(
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
_MAKE = _any(
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
_ANNOUNCING = _any(
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
_THOUGHTS = _any(
    _USER_WANTS,
    _HEADED_THINKING,
    _THINKING_ALOUD,
    r"(?:well|so|right)[,.]? (?:let's |let me |the (?:user|task|prompt|list)|i (?:need|should|must))",
    r"(?:let me|let's) (?:think|analy[sz]e|break|see|start by|consider|work through|look|draft|(?:double-)?check)",
    r"we (?:need|should|must|have) to\b",
    r"i (?:need|have|should|must|am asked|was asked) (?:to )?"
    r"(?:continue|come up|generate|produce|think|figure|keep|avoid|vary)\b",
)

_AFTERWORDS = _any(
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
_CLOSINGS = _any(
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
_PARTS_OF_AN_ANSWER = _any(r"tasks?", r"instructions?", r"examples?", r"instances?", r"prompts?")
_MORE = _any(_PARTS_OF_AN_ANSWER, r"list", r"more", r"further", r"another", r"adjust\w*", r"changes?", r"else")
_AFTER_AN_OUTPUT = _any(
    _AFTERWORDS,
    rf"(?:this|that|these|those|each|every|all|the)(?:'s)? (?:\w+ ){{0,4}}?{_PARTS_OF_AN_ANSWER}\b",
    r"(?:this|that)(?:'s| is| covers| completes| concludes| ends) (?:\w+ ){0,4}?(?:list|cases|set)\b",
    r"(?:is there )?anything else\b",
    rf"\(?note(?: that|:)? (?:\w+ ){{0,2}}?{_PARTS_OF_AN_ANSWER}\b",
    _any(
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
    _any(
        r"please",
        r"could you(?: please)?",
        r"can you(?: please)?",
        r"you (?:have(?:n't| not)|did(?:n't| not))",
        r"i (?:would )?need(?: you to)?",
    )
    + " "
    + _any(
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
_OFFER = re.compile(
    r"(?:please )?(?:let me know|feel free to ask|would you like|do you want|i can also)\b[^\n.?!]{0,60}\b"
    + _any(
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
_AGREEING = re.compile(_any(_AGREEMENTS, _WILLING))

_REFUSAL = re.compile(_REFUSALS)
_OPENING = re.compile(_any(_AGREEMENTS, _WILLING, _ANNOUNCEMENTS, _THOUGHTS))
_NO_TASK = re.compile(
    _any(_AGREEMENTS, _WILLING, _ANNOUNCEMENTS, _USER_WANTS, _THINKING_ALOUD, _HEADED_THINKING, _AFTERWORDS)
)
_ANNOUNCEMENT = re.compile(rf"(?:{_AGREEMENTS} ?)?{_ANNOUNCEMENTS}")
_CLOSING = re.compile(_CLOSINGS)
_ABOUT = re.compile(_ABOUT_ITEMS)
_AFTERWORD = re.compile(_AFTER_AN_OUTPUT)
_QUESTION_BACK = re.compile(rf"(?:{_AGREEMENTS} ?)?(?:[^\n.!?]{{0,60}}?[,.!] )?{_QUESTIONS_BACK}")
_WANTED = re.compile(_USER_WANTS)
_HEADED = re.compile(_HEADED_THINKING)
_ALOUD = re.compile(_any(_USER_WANTS, _THINKING_ALOUD, _HEADED_THINKING))

_MARKS = " \t\n*_#>\"'\u201c\u201d`(-\u2013\u2014"
_READ = 400
_LONGEST_REMARK_WORDS = 25
_LONGEST_HAND_OVER = 60
_WORDS_OF_AN_AGREEMENT = 2  # `Of course.`


def is_refusal(text: str) -> bool:
    """Return whether a text says that it will not, or cannot, do what was asked."""
    return _REFUSAL.match(_beginning(text)) is not None


def is_refused_task(instruction: str) -> bool:
    """Return whether a text in the place of a task is a refusal; a person who cannot do a thing may ask for it."""
    return is_refusal(instruction) and not goes_on_to_ask(_beginning(instruction))


def without_talk(output: str) -> str:
    """Return an output without the words that hand it over (`Here is a haiku:`) and the offer of more behind it.

    A letter may end in the same words as an answer.
    """
    text = _without_preamble(output)
    if (handed := _HANDED_OVER.match(text)) is not None and text[handed.end() :].strip():
        text = text[handed.end() :].strip()
    before, blank, last = text.rpartition("\n\n")
    if blank and before.strip() and _OFFER.match(_beginning(last)) is not None:
        text = before.rstrip()
    offer = _LAST_OFFER.search(text, max(0, len(text) - _LONGEST_OFFER))
    is_answer = offer is not None and text[: offer.start()].strip() and SALUTATION.match(text) is None
    return text[: offer.start()].rstrip() if offer is not None and is_answer else text


def _without_preamble(output: str) -> str:
    line, _, rest = output.partition("\n")
    beginning = _beginning(line).rstrip("*_ ")
    if not rest.strip() or not beginning.endswith((":", "!")) or not (rest.startswith(("\n", "```")) or ":" in line):
        return output
    agrees = _AGREEING.match(beginning)
    hands_over = beginning.endswith(":") and _HERE_IS.search(beginning[:_LONGEST_HAND_OVER]) is not None
    is_first = hands_over and (agrees is not None or _HERE_IS.match(beginning) is not None)
    alone = agrees is not None and len(beginning.split()) <= _WORDS_OF_AN_AGREEMENT and rest.startswith("\n")
    return rest.strip("\n") if is_first or alone else output


def is_opening(text: str) -> bool:
    """Return whether a line or short paragraph before an answer is no part of it: it announces, agrees, or thinks."""
    beginning = _beginning(text)
    return _OPENING.match(beginning) is not None and not _is_request(beginning)


def only_announces(line: str) -> bool:
    """Return whether a line before an answer says nothing of its own: a letter may begin with `Sure, I will come`."""
    beginning = _beginning(line).rstrip()
    if _OPENING.match(beginning) is None:
        return False
    ends = beginning.rstrip("*_").endswith(":") or len(beginning.split()) <= _WORDS_OF_AN_AGREEMENT
    return ends or _ANNOUNCEMENT.match(beginning) is not None


def is_closing(text: str) -> bool:
    """Return whether a paragraph behind an answer is no part of it: it speaks about the answer."""
    beginning = _beginning(text)
    is_short = len(beginning.split()) <= _LONGEST_REMARK_WORDS
    return _CLOSING.match(beginning) is not None or (is_short and _ABOUT.search(beginning) is not None)


def is_afterword(text: str) -> bool:
    """Return whether a paragraph behind an output speaks about the answer; stricter, since outputs end in any words."""
    beginning = _beginning(text)
    return len(beginning.split()) <= _LONGEST_REMARK_WORDS and _AFTERWORD.match(beginning) is not None


def is_no_task(text: str) -> bool:
    """Return whether a text that stands where a task should be is talk about tasks."""
    beginning = _beginning(text)
    return _NO_TASK.match(beginning) is not None and not _is_request(beginning)


def asks_back(text: str) -> bool:
    """Return whether a text that stands where an output should be asks for the material to work on."""
    return _QUESTION_BACK.match(_beginning(text)) is not None


def is_thinking_aloud(text: str) -> bool:
    """Return whether a text that stands where an output should be is a model's talk with itself."""
    return _ALOUD.match(_beginning(text)) is not None


def is_headed_thinking(text: str) -> bool:
    """Return whether a text begins with a heading such as `Thinking Process:`."""
    return _HEADED.match(_beginning(text)) is not None


def _is_request(beginning: str) -> bool:
    """Return whether a text goes on from the wants of a user to what is to be done about them."""
    return _WANTED.match(beginning) is not None and goes_on_to_ask(beginning)


def _beginning(text: str) -> str:
    """Return the beginning of a text in one case, with one kind of blank and one of apostrophe."""
    head = text.lstrip(_MARKS)[:_READ].lower().replace("\u2019", "'").replace("\u02bc", "'").replace("\u00a0", " ")
    return re.sub(r"[ \t]+", " ", head)
