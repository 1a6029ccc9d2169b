"""JSON as models write it: in a fence, with prose around it, a trailing comma, a bare backslash, or cut at its end.

Nothing is guessed: if JSON is broken or ends early, only the values that are complete before that place count.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from service.selfinstruct.replies.characters import printable
from service.selfinstruct.replies.leaks import without_thinking

Json = Any  # a decoded value

# Minimum share of a reply at which its JSON is the answer, and not a part of some text.
MOST_OF_A_REPLY = 0.5

_START = re.compile(r"[{\[]")
_JSON_BEGINS = re.compile(r"(?:```\w*\s*)?[{\[]")
# The closing quotation mark is optional: a pattern that failed without it would be retried at every mark before it.
_STRING = r'"(?:[^"\\]|\\.)*+"?+'
_COMMA_BEFORE_END = re.compile(rf"({_STRING})|,(?=\s*+[}}\]])", re.DOTALL)
_TOKEN = re.compile(rf'{_STRING}|[{{}}\[\],]|[^\s"{{}}\[\],]+', re.DOTALL)
_CLOSING = {"{": "}", "[": "]"}
_LIST_OF_WHOLE_ITEMS = re.compile(r"\{*+\[++")
_DEEPEST = 16
_MOST_STARTS = 16
_MOST_DIGITS = 300


def _number(digits: str) -> int | str:
    """Return an integer; more than `_MOST_DIGITS` digits stay text, since Python refuses to parse very long numbers."""
    return int(digits) if len(digits) <= _MOST_DIGITS else digits


# Raw line feeds in strings are frequent and stand for themselves.
_DECODER = json.JSONDecoder(strict=False, parse_int=_number)
# TeX in a string is often written with one backslash where JSON requires two. Some of these commands are invalid JSON,
# and others would be read as a tab, a line feed or a form feed and half a command. The list leaves out commands whose
# rest may begin a line (`\nu`, `\to`).
_TEX = (
    r"frac|forall|flat|beta|begin|binom|bar|big[lr]?|bmod|boxed|bullet|theta|times|text\w*|triangle\w*|tilde"
    r"|nabla|neq|notin|rho|right\w*|rangle|rceil|rfloor|Rightarrow"
)
_BACKSLASH = re.compile(
    rf'\\(?:(?P<tex>(?:{_TEX})(?![A-Za-z]))|(?P<wrong>[^"\\/bfnrtu\s]|u(?![0-9a-fA-F]{{4}}))|.)', re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Found:
    """The JSON values in a text; `broken` says that one of them was cut, or is unreadable from some place on.

    `share` is their share of the text, 0 … 1.
    """

    values: tuple[Json, ...] = ()
    broken: bool = False
    share: float = 0.0


def read_json(text: str) -> Found:
    """Return the objects and lists in a text, in order; a broken one comes last, as far as it is complete."""
    body = _COMMA_BEFORE_END.sub(lambda found: found[1] or "", _BACKSLASH.sub(_escaped, text.strip()))
    values: list[Json] = []
    covered, place = 0, 0
    for _ in range(_MOST_STARTS):
        if (start := _START.search(body, place)) is None:
            break
        try:
            value, place = _DECODER.raw_decode(body, start.start())
        except RecursionError:
            return _found(values, body, covered, broken=True)
        except json.JSONDecodeError as error:
            at_end = error.pos >= len(body)
            whole = _whole_part(body[start.start() : error.pos], at_end=at_end)
            if whole is not None or _looks_like_json(body, start.start()):
                values += [whole] if whole is not None else []
                return _found(values, body, covered + len(body) - start.start(), broken=True)
            place = start.end()
        else:
            values.append(value)
            covered += place - start.start()
    return _found(values, body, covered, broken=False)


def _escaped(found: re.Match[str]) -> str:
    return f"\\{found[0]}" if found["tex"] or found["wrong"] else found[0]


def _found(values: list[Json], body: str, covered: int, *, broken: bool) -> Found:
    return Found(tuple(values), broken, covered / max(1, len(body)))


def _looks_like_json(body: str, start: int) -> bool:
    following = body[start + 1 : start + 40].lstrip()
    return not following or following[0] in '"{['


def _whole_part(broken: str, *, at_end: bool) -> Json | None:
    """Return the complete part of a broken JSON text: lists with the items that had ended; None if there are none.

    An object that did not end is no item, whatever it holds. A string has ended if a comma or the list's end follows,
    or if the text ends (`at_end`). Before anything else, the quotation mark was a part of the string.
    """
    whole = pending = 0, ""
    for mark, end, open_marks in _marks(broken):
        if mark in {",", "]"}:
            whole = max(whole, pending)
        if mark not in {",", "{", "["} and _LIST_OF_WHOLE_ITEMS.fullmatch(open_marks):
            pending = end, "".join(_CLOSING[each] for each in reversed(open_marks))
            whole = pending if mark in {"}", "]"} else whole
    if at_end and broken.rstrip().endswith('"'):  # not a string that was cut: its error is at its beginning
        whole = max(whole, pending)
    end, closing = whole
    try:
        return _DECODER.decode(broken[:end] + closing) if end else None
    except (ValueError, RecursionError):
        return None


def _marks(broken: str) -> Iterator[tuple[str, int, str]]:
    """Yield each mark and value of a JSON text, its end, and the marks open after it; stop at a mismatch."""
    open_marks = ""
    for token in _TOKEN.finditer(broken):
        mark = token[0]
        if mark in _CLOSING:
            open_marks += mark
        elif mark in {"}", "]"}:
            if not open_marks or _CLOSING[open_marks[-1]] != mark:
                return
            open_marks = open_marks[:-1]
        if len(open_marks) > _DEEPEST:
            return
        yield mark, token.end(), open_marks


def looks_like_json(text: str) -> bool:
    """Return whether a text begins as JSON does, with or without a code fence."""
    return _JSON_BEGINS.match(text) is not None


def with_plain_names(named: dict[str, Json]) -> dict[str, Json]:
    """Return an object with its names in lower case and underscores for blanks, as the prompt asks for them."""
    return {name.strip().lower().replace(" ", "_"): value for name, value in named.items()}


def as_text(value: Json) -> str | None:
    """Return the text of a JSON string, number or boolean; None for any other value."""
    match value:
        case str():
            return without_thinking(printable(value)) or ""
        case bool() | int() | float():
            return json.dumps(value)
        case _:
            return None
