"""A set of numbers from 0 on that soon has no holes: what is dense costs nothing."""


class DenseSet:
    """Numbers seen, as a watermark below which all are in, and the few above it."""

    def __init__(self) -> None:
        self._below = 0
        self._above: set[int] = set()

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and (number < self._below or number in self._above)

    def add(self, number: int) -> None:
        """Put a number in."""
        if number < self._below:
            return
        self._above.add(number)
        while self._below in self._above:
            self._above.remove(self._below)
            self._below += 1
