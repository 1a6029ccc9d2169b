"""Markdown around texts, list numbers before them, and remains of either inside them."""

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
_NEXT_EXAMPLE = re.compile(
    r"\n[*_#> \t]*+(?:(?:Input|Output)[*_]*+[ \t]*+:"
    r"|Example[ \t]*+\d{1,3}+[*_]*+[ \t]*+:?+[*_]*+[ \t]*+\n[*_]*+(?:Input|Output)\b)"
    r"|\\n(?:Input|Output|Instruction):"
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

_LABEL_INSIDE = re.compile(
    r"(?:^|[\n.?!:;][ \t\n]*+)[*_#\s]*+(?:\d{1,3}+[.)][ \t]*+)?+(?:\*\*|__)?+"
    r"(?:(?:instruction|input|output|class label)[ \t]*+\d{0,3}+|(?:task|example)[ \t]*+\d{1,3}+)(?:\*\*|__)?+[ \t]*+:",
    re.IGNORECASE,
)
_NUMBER_FIRST = re.compile(r"[*_#>\s]*+\(?\d{1,3}+(?:[ \t]?[.\uff0e](?!\d)|[)\uff09\u3001])[*_]*+(?:\s|(?=[^\W\d]))")
_NUMBER_AFTER_SENTENCE = re.compile(
    r"[.?!\"'\u201d\u2019)][*_]*+\s++[*_]*+\(?\d{1,3}+(?:[.)\uff0e\uff09\u3001](?=[\s*_])|[\uff0e\uff09\u3001])"
)
_LEFT_OVER = re.compile(
    r"(?:^|\s)(?-i:\*\*(?![a-z])|__(?=[A-Z]))|(?:(?<=[\s.?!:])\*\*|(?<=[.?!:])__)(?:\s|$)|(?:^|\n)#{1,6}\s"
    r"|###\s*+(?:$|\d|(?:task|instruction|example)\b)|<\|[^|\n]{1,40}\|>"
    r"|<no ?input>|</?(?:think|thinking|thought)>|\[/?THINK\]|assistantfinal|\[/?INST\]|<(?:start|end)_of_turn>",
    re.IGNORECASE,
)
# Each of the patterns above needs one of these characters, or the word `assistantfinal` in any case.
_PART_OF_DEBRIS = re.compile(r"[\d:*_#<\[]")
_NUMBERED_LABEL = re.compile(
    r"(?:^|\s)[*_]*+\d{1,3}[.)][*_ ]++(?:Instruction|Input|Output)[*_]*+\s?:|(?:^|\s)[*_]*+Instruction[*_]*+ ?:\s"
    r"|<no ?input>"
)
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
_BLANKS = re.compile(r"\s++")
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


def without_bold(text: str) -> str:
    """Return a text without the marks of bold type."""
    return _BOLD_UNDERSCORES.sub(r"\1", _BOLD.sub(r"\1", text))


def _unquoted(text: str) -> str:
    closing = _QUOTES.get(text[:1])
    inner = text[1:-1]
    if closing is None or len(text) < len('"x"') or not text.endswith(closing) or text[0] in inner or closing in inner:
        return text
    return inner.strip()


def holds_debris(instruction: str) -> bool:
    """Return whether an instruction still holds a list number, a label or a mark, and so is not a single task."""
    if _PART_OF_DEBRIS.search(instruction) is None and "tantf" not in instruction.lower():
        return False
    instruction = _BLANKS.sub(lambda blanks: "\n" if "\n" in blanks[0] else " ", instruction)
    return any(
        found.search(instruction) is not None for found in (_LABEL_INSIDE, _NUMBER_AFTER_SENTENCE, _LEFT_OVER)
    ) or (_NUMBER_FIRST.match(instruction) is not None)


def holds_numbered_label(output: str) -> bool:
    """Return whether an output continues with the labels of another task."""
    if ":" not in output and "<no" not in output:
        return False
    return _NUMBERED_LABEL.search(output) is not None


def holds_next_example(text: str) -> bool:
    """Return whether an input or output continues with the labels of an instance, outside code."""
    found = _NEXT_EXAMPLE.search(text)
    return found is not None and text.count("```", 0, found.start()) % 2 == 0


def behind_number(found: re.Match[str]) -> str:
    """Return the text after the number in a match of `LIST_NUMBER`, with the bold mark opened before the number."""
    bold = "" if found["closed"] or found["early"] else found["bold"] or ""
    return bold + found["rest"]


def without_list_number(text: str) -> str:
    number = LIST_NUMBER.match(text)
    return text if number is None else behind_number(number) + text[number.end() :]


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
