"""Cost of the latest acceptances, over all prompts up to the oldest of them, those without acceptances included."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass


@dataclass(slots=True)
class _Stretch:
    """Consecutive prompts in order of decision, up to one with acceptances; `unpaid` counts those of unknown cost."""

    accepted: int = 0
    cost: int = 0
    unpaid: int = 0


class RecentAcceptances:
    """The last `size` acceptances, and the few more that came from the same prompt as the first of them.

    Call `decide` once for each prompt, and then `pay` at most once. Prompts may be paid in any order, since their costs
    are read from another topic.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._stretches: dict[int, _Stretch] = {}
        self._newest = -1
        self._sum = _Stretch()
        self._begin()

    @property
    def accepted(self) -> int:
        """Return the number of acceptances counted: `size` or a few more once the window is full."""
        return self._sum.accepted

    @property
    def full(self) -> bool:
        """Return whether there have been `size` acceptances."""
        return self.accepted >= self._size

    def decide(self, accepted: int) -> int:
        """Add a decided prompt with its number of acceptances, and return the number to pass to `pay`."""
        number, stretch = self._newest, self._stretches[self._newest]
        for each in (stretch, self._sum):
            each.unpaid += 1
            each.accepted += accepted
        if accepted:
            self._begin()
            self._forget()
        return number

    def pay(self, number: int, cost: int) -> None:
        """Add the cost of one prompt, in picodollars; `number` is the result of its `decide`."""
        if (stretch := self._stretches.get(number)) is not None:
            for each in (stretch, self._sum):
                each.unpaid -= 1
                each.cost += cost

    def as_json(self) -> list[list[int]]:
        """Return the numbers of the stretches and what each holds, as plain values."""
        return [[number, *astuple(each)] for number, each in self._stretches.items()]

    @classmethod
    def of_json(cls, size: int, stretches: Sequence[Sequence[int]]) -> "RecentAcceptances":
        """Return the window whose `as_json` is given."""
        found = cls(size)
        found._stretches = {number: _Stretch(*held) for number, *held in stretches}
        found._newest = max(found._stretches)
        found._sum = _Stretch(*(sum(column) for column in zip(*map(astuple, found._stretches.values()), strict=True)))
        return found

    def per_acceptance(self, per_prompt: float | None) -> float | None:
        """Return the mean cost of an acceptance, in picodollars, with prompts of unknown cost at `per_prompt`."""
        if not self.accepted:
            return None
        if not self._sum.unpaid:
            return self._sum.cost / self.accepted
        return None if per_prompt is None else (self._sum.cost + self._sum.unpaid * per_prompt) / self.accepted

    def _begin(self) -> None:
        self._newest += 1
        self._stretches[self._newest] = _Stretch()

    def _forget(self) -> None:
        """Drop the oldest prompts while the others have at least `size` acceptances."""
        number = self._newest - len(self._stretches) + 1
        while self._sum.accepted - (oldest := self._stretches[number]).accepted >= self._size:
            del self._stretches[number]
            number += 1
            self._sum.accepted -= oldest.accepted
            self._sum.cost -= oldest.cost
            self._sum.unpaid -= oldest.unpaid
