"""Numbers seen: how many, their mean and their variance; exact sums, so that their order does not matter."""

from dataclasses import dataclass


@dataclass(slots=True)
class Sample:
    """The count, the sum and the sum of squares of whole numbers."""

    seen: int = 0
    total: int = 0
    squares: int = 0

    def add(self, number: int) -> None:
        """Take a number in."""
        self.seen += 1
        self.total += number
        self.squares += number * number

    def correct(self, old: int, new: int) -> None:
        """Replace a number that was taken in."""
        self.total += new - old
        self.squares += new * new - old * old

    @property
    def mean(self) -> float:
        """Return the mean; 0 of nothing."""
        return self.total / self.seen if self.seen else 0.0

    @property
    def variance(self) -> float:
        """Return the variance; 0 of nothing."""
        return (self.seen * self.squares - self.total * self.total) / self.seen**2 if self.seen else 0.0
