"""A set of ids of candidates, a bit for each; ids of another form are kept as they are."""

from service.containers import Arrays, DenseSet
from service.messaging.ids import numbers_of

# The positions of one prompt that have a bit.
_POSITIONS = 64


class IdSet:
    """A set of ids. Those of candidates, `p<prompt>.<position>`, take eight bytes for each prompt."""

    def __init__(self) -> None:
        self.others: set[str] = set()
        self._bits = DenseSet()

    def __contains__(self, name: str) -> bool:
        place = _place_of(name)
        return name in self.others if place is None else place in self._bits

    def add(self, name: str) -> None:
        """Add an id."""
        place = _place_of(name)
        if place is None:
            self.others.add(name)
        else:
            self._bits.add(place)

    def snapshot(self, name: str) -> Arrays:
        """Return the ids of candidates as arrays; `others` are not among them."""
        return self._bits.snapshot(name)

    def restore(self, name: str, arrays: Arrays) -> None:
        """Take the content of a snapshot, before any other content."""
        self._bits.restore(name, arrays)


def _place_of(name: str) -> int | None:
    numbers = numbers_of(name)
    if numbers is None or numbers[1] >= _POSITIONS:
        return None
    return numbers[0] * _POSITIONS + numbers[1]
