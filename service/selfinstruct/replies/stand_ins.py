"""Texts that stand in the place of an input or output that is not there: `None`, `[insert a text]`, marks alone."""

import re

_ONLY_MARKUP = re.compile(r"[*_#`~\s-]*+")
_ONLY_LABEL = re.compile(
    r"[*_#\s]*+(?:example|input|output|class label|instruction|task|answer|response|text)"
    r"[ \t]*+\d{0,3}+[*_]*+\s*+[:.]?+[*_\s]*+",
    re.IGNORECASE,
)
_NEEDED = r"(?: (?:is |was )?(?:required|needed|necessary|provided|given))"
_NO_INPUT = re.compile(
    rf"(?:no[ _-]?(?:(?:specific|additional|further) )?(?:input|context){_NEEDED}?"
    rf"|(?:none|n/?a|not applicable|not|nothing|empty|null|nil|no){_NEEDED}?(?: \(.{{0,80}}\)?)?"
    r"|(?:this|the) (?:task|instruction) (?:requires|needs|has) no (?:specific |additional |further )?input"
    r"|[-\u2013\u2014.\u2026]{0,3})",
    re.IGNORECASE,
)
_AROUND_NO_INPUT = " \t\n*_`\"'\\\u201c\u201d<>()[]/."
_LONGEST_NO_INPUT = 120
_SAYS_NO_INPUT = re.compile(
    r"(?:\bno|n't|n\u2019t|\bnot|\bwithout)\b[^.!?\n]{0,40}\binputs?\b|\binputs?\b[^.!?\n]{0,20}\bnot\b", re.IGNORECASE
)
_PLACEHOLDER = re.compile(
    r"(?:\w[\w ]{0,20}:\s*+)?+(?:\.{3}|\u2026|todo\.?"
    r"|(?:the )?input text\.?"
    r"|(?:the |some )?(?:text|article|paragraph|passage|sentence) (?:to be|you want|that needs)\b[^.\n]{0,40}\.?|"
    r"[\[<{](?:insert|your|add|enter|paste|provide|some|the|a|an|text|input|output)\b[^\]>}\n]{0,80}[\]>}])",
    re.IGNORECASE,
)
_NO_OUTPUT = re.compile(r"[<(\[](?:no ?(?:in|out)put|none|empty|null)[>)\]]\.?+|n/a|no ?output\.?+", re.IGNORECASE)


def is_only_marks(text: str) -> bool:
    """Return whether a text consists only of marks, or only of a label."""
    return _ONLY_MARKUP.fullmatch(text) is not None or _ONLY_LABEL.fullmatch(text) is not None


def is_placeholder(text: str) -> bool:
    """Return whether a text, apart from its label, is a placeholder such as `[insert a comment]`."""
    return _PLACEHOLDER.fullmatch(text.strip()) is not None


def stands_for_no_input(text: str) -> bool:
    """Return whether a text, apart from the marks around it, is a phrase for a missing input, such as `None`."""
    if len(text) > _LONGEST_NO_INPUT:
        return False
    bare = text.replace("&lt;", "").replace("&gt;", "").strip(_AROUND_NO_INPUT)
    return "noinput" in bare.lower() or _NO_INPUT.fullmatch(bare) is not None


def says_no_input(line: str) -> bool:
    """Return whether a sentence states that a task needs no input."""
    return _SAYS_NO_INPUT.search(line) is not None


def stands_for_no_output(text: str) -> bool:
    """Return whether a text is a phrase for a missing output, such as `N/A`."""
    return _NO_OUTPUT.fullmatch(text.strip()) is not None
