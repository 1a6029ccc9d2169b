"""What the latest acceptances cost: of as many prompts as it takes, the barren ones between them included."""

from dataclasses import dataclass


@dataclass(slots=True)
class _Stretch:
    """Prompts in the order of their decisions, up to one that gave acceptances; `unpaid` ones without a known cost."""

    accepted: int = 0
    cost: int = 0
    unpaid: int = 0


class RecentAcceptances:
    """The last `size` acceptances, and the few more that came of the same prompt as the first of them.

    A prompt is decided once and its cost told once, in any order: it is read from another topic.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._stretches: dict[int, _Stretch] = {}
        self._newest = -1
        self._sum = _Stretch()
        self._begin()

    @property
    def accepted(self) -> int:
        """Return how many acceptances there are, `size` or a few more once there have been so many."""
        return self._sum.accepted

    @property
    def full(self) -> bool:
        """Return whether there have been `size`."""
        return self.accepted >= self._size

    def decide(self, accepted: int) -> int:
        """Take in a prompt that was decided; returns the number under which its cost is told."""
        number, stretch = self._newest, self._stretches[self._newest]
        for each in (stretch, self._sum):
            each.unpaid += 1
            each.accepted += accepted
        if accepted:
            self._begin()
            self._forget()
        return number

    def pay(self, number: int, cost: int) -> None:
        """Take in what one of these prompts cost, in picodollars."""
        if (stretch := self._stretches.get(number)) is not None:
            for each in (stretch, self._sum):
                each.unpaid -= 1
                each.cost += cost

    def per_acceptance(self, per_prompt: float | None) -> float | None:
        """Return what an acceptance cost, in picodollars, with prompts of unknown cost at `per_prompt`."""
        if not self.accepted:
            return None
        if not self._sum.unpaid:
            return self._sum.cost / self.accepted
        return None if per_prompt is None else (self._sum.cost + self._sum.unpaid * per_prompt) / self.accepted

    def _begin(self) -> None:
        self._newest += 1
        self._stretches[self._newest] = _Stretch()

    def _forget(self) -> None:
        """Drop the oldest acceptances that are not needed any more."""
        while True:
            number, oldest = next(iter(self._stretches.items()))
            if self._sum.accepted - oldest.accepted < self._size:
                return
            del self._stretches[number]
            self._sum.accepted -= oldest.accepted
            self._sum.cost -= oldest.cost
            self._sum.unpaid -= oldest.unpaid
