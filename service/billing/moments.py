"""Count, mean and variance of whole numbers. The sums are exact, so that the order of the numbers does not matter."""

from dataclasses import dataclass


@dataclass(slots=True)
class Moments:
    """The count, the sum and the sum of squares of whole numbers."""

    seen: int = 0
    total: int = 0
    squares: int = 0

    def add(self, number: int) -> None:
        self.seen += 1
        self.total += number
        self.squares += number * number

    def correct(self, old: int, new: int) -> None:
        """Replace the number `old`, which was added before, by `new`."""
        self.total += new - old
        self.squares += new * new - old * old

    @property
    def mean(self) -> float:
        """Return the mean; 0 for an empty sample."""
        return self.total / self.seen if self.seen else 0.0

    @property
    def variance(self) -> float:
        """Return the population variance; 0 for an empty sample."""
        return (self.seen * self.squares - self.total * self.total) / self.seen**2 if self.seen else 0.0
