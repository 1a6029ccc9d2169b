"""Ids of tasks in arrays of numbers: a million of them as strings would take a hundred bytes each.

The id of a machine task is `p<prompt>.<position>`. Other ids, those of seeds above all, are kept as they are.
"""

from array import array
from collections.abc import Iterable, Iterator

from service.containers import Arrays, DenseSet
from service.messaging.ids import numbers_of

_POSITION_BITS = 10
_MASK = (1 << _POSITION_BITS) - 1
# The positions of one prompt that have a bit in a set.
_POSITIONS = 64


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
    """A set of ids, in eight bytes for each prompt: a bit for each position."""

    def __init__(self) -> None:
        self.others: set[str] = set()
        self._bits = DenseSet()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __contains__(self, task_id: str) -> bool:
        place = _place_of(task_id)
        return task_id in self.others if place is None else place in self._bits

    def add(self, task_id: str) -> None:
        """Add an id."""
        numbers = numbers_of(task_id)
        if numbers is None or numbers[1] >= _POSITIONS:
            self._size += task_id not in self.others
            self.others.add(task_id)
        else:
            self._size += self._bits.add(numbers[0] * _POSITIONS + numbers[1])

    def snapshot(self, name: str) -> Arrays:
        """Return the numbers as arrays under names that begin with `name`; `others` are not among them."""
        return self._bits.snapshot(name)

    def restore(self, name: str, arrays: Arrays, others: Iterable[str]) -> None:
        """Take the content of a set that was saved, before any other content."""
        self._bits.restore(name, arrays)
        self.others.update(others)
        self._size = self._bits.count() + len(self.others)


def _place_of(task_id: str) -> int | None:
    numbers = numbers_of(task_id)
    if numbers is None or numbers[1] >= _POSITIONS:
        return None
    return numbers[0] * _POSITIONS + numbers[1]
