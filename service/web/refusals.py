"""Words for values that are refused: the nearest name of an unknown field, and what a pattern allows."""

import re
from collections.abc import Iterator
from difflib import get_close_matches

import msgspec
from msgspec import Struct, inspect

from service.settings import RUN_NAME

# White space of Python and of ECMAScript, whose patterns JSON Schema has.
NOT_BLANK = r"[^\s\u001c-\u001f\u0085\ufeff]"
# `$` of Python also matches before a line break at the end.
WHOLE_RUN_NAME = rf"{RUN_NAME}(?!\n)"
TOPIC_NAME = r"^[^\s]([ -~]*[^\s])?$"
_ALLOWED = {
    NOT_BLANK: "a text with more than white space",
    WHOLE_RUN_NAME: "at most 63 small letters, digits, - and _, beginning and ending with a letter or digit",
    TOPIC_NAME: "printable ASCII characters, without white space at the beginning and the end",
}
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*?)`(?: - at `\$(?P<place>.*)`)?", re.DOTALL)


def refusal(error: msgspec.ValidationError, kind: type[Struct]) -> str:
    """Return why a value is no `kind`, without patterns and with the names of fields that are known."""
    told = str(error)
    for pattern, allowed in _ALLOWED.items():
        told = told.replace(f"Expected `str` matching regex {pattern!r}", f"Expected {allowed}")
    unknown = _UNKNOWN.fullmatch(told)
    return told if unknown is None else told + _known(unknown["name"], _fields(kind, unknown["place"] or ""))


def _known(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean `{near[0]}`?" if near else f"; the fields are {', '.join(known)}"


def _fields(kind: type[Struct], place: str) -> list[str]:
    """Return the names of the fields at a place in a struct, such as `.seeds[0].instances[...]`."""
    found = next(_structs_in(inspect.type_info(kind)))
    for name in re.findall(r"\.(\w+)", place):
        inner = (each for field in found.fields if field.encode_name == name for each in _structs_in(field.type))
        found = next(inner, found)
    return [each.encode_name for each in found.fields]


def _structs_in(node: inspect.Type) -> Iterator[inspect.StructType]:
    match node:
        case inspect.StructType():
            yield node
        case inspect.Metadata():
            yield from _structs_in(node.type)
        case inspect.ListType() | inspect.VarTupleType():
            yield from _structs_in(node.item_type)
        case inspect.UnionType():
            for each in node.types:
                yield from _structs_in(each)
        case _:
            pass  # a plain value has no fields
