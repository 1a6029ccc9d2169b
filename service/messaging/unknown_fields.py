"""Fields that a later version added to a message.

Most messages ignore them. Those that say how a run is worked on must not: a limit that is passed over is not kept.
"""

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any, get_args, get_type_hints

from msgspec import Struct, structs


def refuse_unknown(kind: type, data: object, what: str) -> None:
    """Raise if the JSON object of a message or dataclass has a field that is unknown here and is set.

    A later version has to give a new field a value that changes nothing and is empty: null, false, 0 or an empty text.

    Raises:
        ValueError: there is such a field; the message says what it is, a `what`.
    """
    unknown = sorted(_unknown(kind, data))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no {what} of this version of Seedstream, so a newer one has set it")


def _unknown(kind: type, data: object, prefix: str = "") -> Iterator[str]:
    if isinstance(data, list):
        for number, each in enumerate(data):
            yield from _unknown(kind, each, f"{prefix.removesuffix('.')}[{number}].")
    elif isinstance(data, Mapping):
        known = _types_of_fields(kind)
        yield from (f"{prefix}{name}" for name, value in data.items() if name not in known and value)
        for name, inner in known.items():
            if inner is not None:
                yield from _unknown(inner, data.get(name), f"{prefix}{name}.")


def _types_of_fields(kind: type) -> dict[str, type | None]:
    """Return the names of the fields, each with its dataclass if it has one."""
    if issubclass(kind, Struct):
        return {field.name: _dataclass_in(field.type) for field in structs.fields(kind)}
    return {name: _dataclass_in(hint) for name, hint in get_type_hints(kind).items()}


def _dataclass_in(annotation: Any) -> type | None:
    kinds = (annotation, *get_args(annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and is_dataclass(kind)), None)
