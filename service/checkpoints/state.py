"""The state of a fold over the log, as values and arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from service.containers import Arrays


class Fold(Struct, frozen=True):
    """A fold over the log: its name, and a version that changes with the meaning of its state."""

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class State:
    """The state of a fold: values of JSON, and arrays of numbers by name.

    An array is given as pieces with the same type, joined along their first axis; a loaded array is one piece, in
    read-only memory. A state that is being saved must not change.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)

    @classmethod
    def of_parts(cls, **parts: "State") -> "State":
        """Return a state that holds others by name."""
        arrays = {f"{name}.{each}": pieces for name, part in parts.items() for each, pieces in part.arrays.items()}
        return cls({name: part.values for name, part in parts.items()}, arrays)

    def part(self, name: str) -> "State":
        """Return one of the states of which `of_parts` made this one."""
        arrays = {each.removeprefix(f"{name}."): a for each, a in self.arrays.items() if each.startswith(f"{name}.")}
        return State(self.values[name], arrays)
