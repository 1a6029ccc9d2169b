"""Enumerations that grow: a later version may write a value that this one does not know."""

from enum import StrEnum
from typing import Self


class OpenEnum(StrEnum):
    """A set of names in which every other text is a member too, without an attribute of its own.

    It is for values that are counted and shown under their names. A value on which a decision depends belongs into a
    `StrEnum`, which refuses what it does not know.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        unknown = str.__new__(cls, value)
        unknown._name_ = value
        unknown._value_ = value
        return unknown
