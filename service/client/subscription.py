"""The options of a stream of finished tasks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from service.errors import ConfigurationError
from service.messaging.broker import Partition

_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

Start = Literal["beginning", "now"] | Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Subscription:
    """The options of a stream.

    `start` is `beginning`, `now`, or the next offset to read by partition number; other partitions start at the
    beginning. A group starts at its committed offsets, else at the beginning. With `until_end`, the stream ends at the
    end offsets of the time when it was opened; without, it does not end. With `auto_commit`, the offsets of done tasks
    are committed every second, before partitions are revoked, and at the end.
    """

    start: Start | None = None
    group: str | None = None
    until_end: bool = False
    auto_commit: bool = False

    def __post_init__(self) -> None:
        """Raise `ConfigurationError` for an invalid group name or options that exclude each other."""
        if self.group is not None and _GROUP.fullmatch(self.group) is None:
            raise ConfigurationError(
                f"group: expected letters and digits, with . _ - between them, at most 100, got {self.group!r}"
            )
        if self.group is not None and self.start is not None:
            raise ConfigurationError(
                f"group {self.group!r}: a group starts where it committed, else at the beginning, and nowhere else; "
                "leave out either the group or the start"
            )
        if self.auto_commit and self.group is None:
            raise ConfigurationError("auto_commit: expected a group to commit for, got none")


def starts(start: Start | None, ends: Mapping[Partition, int]) -> dict[Partition, int]:
    """Return the start offsets of partitions that do not start at their beginning.

    Raises:
        ConfigurationError: a partition does not exist, or ends before its start offset.
    """
    if start is None or start == "beginning":
        return {}
    if start == "now":
        return dict(ends)
    numbers = {partition.number: partition for partition in ends}
    for number, offset in start.items():
        if number not in numbers:
            raise ConfigurationError(f"start {number}:{offset}: expected a partition from 0 to {len(ends) - 1}")
        if not 0 <= offset <= ends[numbers[number]]:
            raise ConfigurationError(
                f"start {number}:{offset}: expected an offset from 0 to {ends[numbers[number]]}, where partition "
                f"{number} ends"
            )
    return {numbers[number]: offset for number, offset in start.items()}
