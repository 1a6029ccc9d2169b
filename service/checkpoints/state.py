"""The state of a fold over the log, as values and arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Arrays = Mapping[str, Sequence[memoryview]]


@dataclass(frozen=True, slots=True)
class Fold:
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
