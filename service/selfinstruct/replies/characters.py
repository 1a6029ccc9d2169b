"""Replacement of control characters and lone surrogates, which neither data sets nor terminals should receive."""

import json
import re
from typing import Any

_LINE_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85]")
_UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# Escapes of JSON in a row, since two may be one character, or another escape such as that of a backslash.
_ESCAPED = re.compile(r"((?:\\u[0-9a-fA-F]{4})+)|\\.")
# Characters that count as printable and have no width or no ink: fillers, joiners and variation selectors.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
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
    r"""Return the first `most` characters of a text on one line, for a message; characters in place of `\uXXXX`."""
    begin = _ESCAPED.sub(_unescaped, text[: 8 * most])
    line = " ".join(printable(begin).split())
    return line if len(line) <= most and len(text) <= 8 * most else f"{line[:most]}…"


def _unescaped(escaped: re.Match[str]) -> str:
    """Return the characters that JSON wrote as escapes, of any script; those that cannot be seen stay escapes."""
    if escaped[1] is None:
        return escaped[0]
    return "".join(each if _is_seen(each) else _as_escape(each) for each in json.loads(f'"{escaped[1]}"'))


def _as_escape(character: str) -> str:
    return f"\\u{ord(character):04x}" if character.isascii() else json.dumps(character)[1:-1]


def _is_seen(character: str) -> bool:
    return not character.isascii() and character.isprintable() and not _INVISIBLE.match(character)
