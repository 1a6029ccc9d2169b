"""Ids of tasks in arrays of numbers: a million of them as strings would take a hundred bytes each.

The id of a machine task is `p<prompt>.<position>`. Other ids, those of seeds above all, are kept as they are.
"""

from array import array
from collections.abc import Iterable, Iterator

from service.messaging.ids import numbers_of

_POSITION_BITS = 10
_MASK = (1 << _POSITION_BITS) - 1
# The positions of one prompt that have a bit in a set.
_BITS = 64
# A set makes room for that many prompts at once, and never for a number that is farther away.
_ROOM = 1 << 16


class TaskIds:
    """A list of ids, in eight bytes each: prompt and position, or ~place of another id in `others`."""

    def __init__(self) -> None:
        self.packed = array("q")
        self.others: list[str] = []

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, place: int) -> str:
        number = self.packed[place]
        return f"p{number >> _POSITION_BITS}.{number & _MASK}" if number >= 0 else self.others[~number]

    def __iter__(self) -> Iterator[str]:
        return (self[place] for place in range(len(self)))

    def append(self, task_id: str) -> None:
        """Add an id behind the others."""
        numbers = numbers_of(task_id)
        if numbers is None:
            self.packed.append(~len(self.others))
            self.others.append(task_id)
        else:
            self.packed.append(numbers[0] << _POSITION_BITS | numbers[1])

    def snapshot(self) -> memoryview:
        """Return a copy of the numbers; `others` are not among them."""
        return memoryview(self.packed[:])

    def restore(self, packed: memoryview, others: Iterable[str]) -> None:
        """Take the content of a list that was saved, before any other content."""
        self.packed.frombytes(packed.cast("B"))
        self.others += others


class TaskIdSet:
    """A set of ids, in eight bytes for each prompt: the positions are bits of its number in `positions`."""

    def __init__(self) -> None:
        self.positions = array("Q")
        self.others: set[str] = set()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __contains__(self, task_id: str) -> bool:
        numbers = numbers_of(task_id)
        if numbers is not None and numbers[0] < len(self.positions) and numbers[1] < _BITS:
            return bool(self.positions[numbers[0]] >> numbers[1] & 1) or task_id in self.others
        return task_id in self.others

    def add(self, task_id: str) -> None:
        """Add an id."""
        if task_id in self:
            return
        self._size += 1
        numbers = numbers_of(task_id)
        if numbers is None or numbers[1] >= _BITS or not self._has_room(numbers[0]):
            self.others.add(task_id)
        else:
            self.positions[numbers[0]] |= 1 << numbers[1]

    def _has_room(self, prompt: int) -> bool:
        missing = prompt + 1 - len(self.positions)
        if 0 < missing <= _ROOM:
            self.positions.frombytes(bytes(self.positions.itemsize * missing))
        return missing <= _ROOM

    def snapshot(self) -> memoryview:
        """Return a copy of the positions; `others` are not among them."""
        return memoryview(self.positions[:])

    def restore(self, positions: memoryview, others: Iterable[str]) -> None:
        """Take the content of a set that was saved, before any other content."""
        self.positions.frombytes(positions.cast("B"))
        self.others.update(others)
        self._size = sum(map(int.bit_count, self.positions)) + len(self.others)
