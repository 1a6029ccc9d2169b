"""Remains of markup, numbers and labels inside a text: signs that it is more than one task or instance."""

import re

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
_NEXT_EXAMPLE = re.compile(
    r"\n[*_#> \t]*+(?:(?:Input|Output)[*_]*+[ \t]*+:"
    r"|Example[ \t]*+\d{1,3}+[*_]*+[ \t]*+:?+[*_]*+[ \t]*+\n[*_]*+(?:Input|Output)\b)"
    r"|\\n(?:Input|Output|Instruction):"
)
_BLANKS = re.compile(r"\s++")


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
