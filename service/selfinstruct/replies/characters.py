"""Replacement of control characters and lone surrogates, which neither data sets nor terminals should receive."""

import re
from typing import Any

_LINE_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85]")
_UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_SHOWN = 200


def printable(text: str) -> str:
    """Return a text with line feeds for all line breaks, and U+FFFD for control characters and lone surrogates."""
    if text.isprintable():
        return text
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", _LINE_BREAKS.sub("\n", text))


def without_lone_surrogates(value: Any) -> Any:
    """Return a JSON value with U+FFFD for each lone surrogate, which UTF-8 cannot encode."""
    match value:
        case str():
            return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
        case list():
            return [without_lone_surrogates(each) for each in value]
        case dict():
            return {without_lone_surrogates(name): without_lone_surrogates(each) for name, each in value.items()}
        case _:
            return value


def excerpt(text: str, most: int = _SHOWN) -> str:
    r"""Return the first `most` characters of a text on one line, for a message; letters in place of `\uXXXX`."""
    begin = _ESCAPED.sub(_letter, text[: 8 * most])
    line = " ".join(printable(begin).split())
    return line if len(line) <= most and len(text) <= 8 * most else f"{line[:most]}…"


def _letter(escaped: re.Match[str]) -> str:
    """Return the letter that JSON wrote as an escape; leave other escapes alone."""
    letter = chr(int(escaped[1], 16))
    return letter if letter.isalpha() else escaped[0]
