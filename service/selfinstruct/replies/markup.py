"""Markdown around texts, and list numbers before them."""

import re
from collections.abc import Callable, Sequence

from service.selfinstruct.replies.directives import is_directive

# A number that begins a list item, with the marks that chat models put around it.
_BEFORE_NUMBER = (
    r"(?:[-*+][ \t]++(?=[*_#\[(]*+\d))?+(?:(?P<heading>#{1,6})[ \t]*+|>{1,6}[ \t]*+)?+(?P<bold>\*\*|__)?+"
    r"(?:(?:task|instruction|question|prompt|item|q)[ \t]*+(?:no\.?[ \t]*+|#)?+)?+#?+[(\[]?+"
)
_BEHIND_NUMBER = (
    r"(?P<early>\*\*|__)?+(?:[ \t]?\\?[.\uff0e](?!\d)\)?+|[)\uff09\u3001\]:\uff1a](?!\d)[.:]?+"
    r"|[ \t]++[-\u2013\u2014](?=[ \t]))(?P<closed>\*\*|__)?+[ \t]*+"
)
LIST_NUMBER = re.compile(
    rf"(?P<indent>[ \t]{{0,3}}+){_BEFORE_NUMBER}(?P<number>\d{{1,3}}+){_BEHIND_NUMBER}(?P<rest>.*)", re.IGNORECASE
)
# `Task 10` on a line of its own; its text follows on the next.
LABEL_LINE = re.compile(
    r"[ \t]{0,3}+(?:[#>]{1,6}[ \t]*+)?+(?:\*\*|__)?+(?:task|instruction|question|prompt)[ \t]*+#?(?P<number>\d{1,3}+)"
    r"[ \t]*+[.:)]?+(?:\*\*|__)?+[.:)]?+[ \t]*+",
    re.IGNORECASE,
)
BULLET = re.compile(
    r"(?P<indent>[ \t]*+)(?:[-*+\u2022\u2013\u25aa\u25cf\u25e6](?=[ \t])|[a-z][.)](?=[ \t]))[ \t]*+(?P<rest>.*)"
)
RULE = re.compile(r"[ \t]*+(?:[-*_=#]{3,}+|(?:[-*_][ \t]){3,}+)[ \t]*+")
HEADING = re.compile(r"[ \t]{0,3}+#{1,6}[ \t]++\S.*")
FENCE = re.compile(r"[ \t]{0,3}+(?:`{3,}+|~{3,}+)[ \t]*+[\w+-]*+[ \t]*+")
FIELD_LABEL = re.compile(
    r"[ \t]*+(?:[-*+][ \t]++)?+(?:\*\*|__)?+(?:\d{1,3}+[.)][ \t]*+)?+(?:\*\*|__)?+"
    r"(?:input|output|answer|example|expected (?:output|answer)|response|context|class label|instances?"
    r"|note|constraints?|hint)[ \t]*+\d{0,3}+(?:\*\*|__)?+[ \t]*+[:\uff1a]",
    re.IGNORECASE,
)

# A fence that names no programming language: its content is text.
_BARE_FENCE = re.compile(r"[ \t]{0,3}+(?:`{3,}+|~{3,}+)[ \t]*+(?:text|txt|plaintext|markdown|md)?[ \t]*+")
_MOST_LABEL_WORDS = 4
_FIELD_NAME = re.compile(
    r"(?P<mark>\*\*)?+(?:Input|Output|Class label|Answer|Response)(?(mark)(?::\*\*|\*\*:)|:)[ \t\n]*+(?=\S)"
)
_BOLD_MARK = "**"
_BOLD = re.compile(r"(?<![\w*])\*\*(?=[^\s*])([^*\n]++)(?<=\S)\*\*(?![\w*])")
# One word in lower case, as in `__init__`, is a name.
_BOLD_UNDERSCORES = re.compile(r"(?<![\w_`.])__(?=[^\s_])(?![a-z]+__)([^_\n]++)(?<=\S)__(?![\w_`(])")
_TITLE = re.compile(
    r"(?P<mark>\*\*|__|\*)(?P<title>[^*_\n:]{1,60}?)"
    r"(?:[:\uff1a.]\s*+(?P=mark)|(?P=mark)\s*+[:\uff1a.|]|(?P=mark)\s++(?:[-\u2013\u2014\u2192](?=\s)|(?=[A-Z])))\s*+(?=\S)"
)
_ROLE = re.compile(
    r"(?:[a-h]\)[ ]|(?:here is an? |new |next )?(?:task|prompt|question|instruction|q|easy|medium|hard)[ \t]*+\d{0,3}+"
    r"[ \t]*+(?:[:\uff1a]|[-\u2013\u2014](?=[ ])))[ \t]*+(?=\S)",
    re.IGNORECASE,
)
_QUOTES = {'"': '"', "\u201c": "\u201d", "'": "'", "\u2018": "\u2019", "\u00ab": "\u00bb", "`": "`"}
_EDGE_MARKS = re.compile(r"^(?:\*\*|__)(?=\s|$)|(?<=\s)(?:\*\*|__)$|^(?:\*\*|__)$")


def tidy(text: str) -> str:
    """Return a text without bold marks, a bold title before it, and quotation marks around the whole of it.

    A title is removed only if the task begins after it: `**True or false:** The sun is a star.` is a task as a whole.
    """
    text = text.strip()
    title = _TITLE.match(text)
    if title is not None and not is_directive(title["title"]) and not text[title.end()].islower():
        text = text[title.end() :]
    text = _EDGE_MARKS.sub("", without_bold(text)).strip()
    if (role := _ROLE.match(text)) is not None:
        text = text[role.end() :]
    return _unquoted(text)


def tidy_value(text: str) -> str:
    """Return an input or output without the markup around it: rules, half a code fence, bold marks of the whole."""
    lines = text.strip().split("\n")
    if len(lines) > len(("```", "```")) and _BARE_FENCE.fullmatch(lines[0]) and FENCE.fullmatch(lines[-1]):
        inner = lines[1:-1]
        lines = lines if any(map(FENCE.fullmatch, inner)) else "\n".join(inner).strip().split("\n")
    while len(lines) > 1 and (RULE.fullmatch(lines[-1]) or not lines[-1].strip()):
        lines.pop()
    fences = sum(FENCE.fullmatch(line) is not None for line in lines)
    if fences % 2 and FENCE.fullmatch(lines[-1]):
        lines.pop()
    value = _EDGE_MARKS.sub("", "\n".join(lines)).strip()
    bold = _BOLD.fullmatch(value)
    if bold is not None:
        return bold[1].strip()
    if value.count(_BOLD_MARK) % 2:  # its counterpart stood before the label
        value = value.removesuffix(_BOLD_MARK) if value.endswith(_BOLD_MARK) else value.removeprefix(_BOLD_MARK)
    return value.strip()


def tidy_json_value(text: str) -> str:
    """Return an input or output that was a JSON string: its marks are kept, a label of the text form is removed."""
    text = text.strip()
    label = _FIELD_NAME.match(text)
    return text[label.end() :].strip() if label is not None else text


def tidy_label(text: str) -> str:
    """Return a class label without the quotation marks around it and the full stop after it."""
    label = _unquoted(tidy_value(text))
    return label.removesuffix(".") if len(label.split()) <= _MOST_LABEL_WORDS else label


def fence_pairs(lines: Sequence[str]) -> dict[int, int]:
    """Return the index of each opening code fence with that of its closing one; a fence with a language is opening."""
    pairs: dict[int, int] = {}
    open_fences: list[tuple[int, str]] = []
    for place, line in enumerate(lines):
        if FENCE.fullmatch(line) is None:
            continue
        fence = line.strip()
        if open_fences and fence.startswith(open_fences[-1][1]) and not fence.strip("`~"):
            pairs[open_fences.pop()[0]] = place
        else:
            open_fences.append((place, fence.rstrip("+- ").removesuffix(fence.lstrip("`~"))))
    return pairs


def without_outer_fence(lines: Sequence[str], is_content: Callable[[str], bool]) -> list[str]:
    """Return lines without the code fence around all content, and without the lines before it."""
    opening = next((place for place, line in enumerate(lines) if FENCE.fullmatch(line) or is_content(line)), None)
    closing = next((place for place in range(len(lines) - 1, -1, -1) if FENCE.fullmatch(lines[place])), None)
    if opening is None or closing is None or not any(map(is_content, lines[opening + 1 : closing])):
        return list(lines)
    if not FENCE.fullmatch(lines[opening]) or fence_pairs(lines).get(opening) != closing:
        return list(lines)
    return [*lines[opening + 1 : closing], *lines[closing + 1 :]]


def without_bold(text: str) -> str:
    """Return a text without the marks of bold type."""
    return _BOLD_UNDERSCORES.sub(r"\1", _BOLD.sub(r"\1", text))


def _unquoted(text: str) -> str:
    closing = _QUOTES.get(text[:1])
    inner = text[1:-1]
    if closing is None or len(text) < len('"x"') or not text.endswith(closing) or text[0] in inner or closing in inner:
        return text
    return inner.strip()


def behind_number(found: re.Match[str]) -> str:
    """Return the text after the number in a match of `LIST_NUMBER`, with the bold mark opened before the number."""
    bold = "" if found["closed"] or found["early"] else found["bold"] or ""
    return bold + found["rest"]


def without_list_number(text: str) -> str:
    number = LIST_NUMBER.match(text)
    return text if number is None else behind_number(number) + text[number.end() :]
