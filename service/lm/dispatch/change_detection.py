"""Sequential tests (Wald 1945, Page 1954): is a share of refusals higher than usual, and did it go away?

A refusal arrives at once and an answer takes seconds, so the first outcomes after a cut would all be refusals. Every
call therefore counts as served when it is sent, and a refusal takes that back. Pure arithmetic.
"""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from math import log

_ENOUGH_REFUSED = 3


@dataclass(slots=True)
class Tally:
    """The numbers of calls sent and refused, in all and by level (calls in flight at that time)."""

    sent: int = 0
    refused: int = 0
    _sent_at: Counter[int] = field(default_factory=Counter)
    _refused_at: Counter[int] = field(default_factory=Counter)

    def send(self, level: int) -> None:
        """Count a call."""
        self.sent += 1
        self._sent_at[level] += 1

    def refuse(self, level: int) -> None:
        """Take a call back that was sent at this level."""
        self.refused += 1
        self._refused_at[level] += 1

    @property
    def share(self) -> float:
        """Return the share of refusals, 0 … 1; 0 before the first call."""
        return min(1.0, self.refused / self.sent) if self.sent else 0.0

    @property
    def knee(self) -> int | None:
        """Return the level that best separates served from refused calls, or none if the level made no difference."""
        knee, best, excess, refused = None, 0, 0, 0
        for level in sorted(self._sent_at | self._refused_at, reverse=True):
            sent = max(self._sent_at[level], self._refused_at[level])
            refused += self._refused_at[level]
            excess += 2 * self._refused_at[level] - sent
            if excess > best and refused >= _ENOUGH_REFUSED:
                knee, best = level, excess
        return knee


@dataclass(slots=True)
class Alarm:
    """A cumulative sum that rises if refusals come more often than `usual` (0 … 1); served calls lower it to 0.

    At the usual share it goes off by mistake once in many thousands of calls; if nearly all are refused, after five.
    """

    usual: float
    _sum: float = 0.0

    _ADDED = 0.2
    _THRESHOLD = 9.0
    _LEAST = -3.0  # calls that were sent together are refused one after another

    @property
    def _raised(self) -> float:
        return min(0.9, self.usual + self._ADDED)

    def sent(self) -> None:
        """Count a call."""
        self._sum = max(self._LEAST, self._sum + log((1 - self._raised) / (1 - self.usual)))

    def refused(self) -> bool:
        """Take a call back; returns whether refusals have become more frequent."""
        self._sum += log(self._raised / self.usual)
        return self._sum > self._THRESHOLD

    def reset(self) -> None:
        self._sum = 0.0


class Finding(Enum):
    """The result of a trial."""

    OPEN = "open"
    GONE = "gone"
    PERSISTS = "persists"


# Two hypotheses on the share of refusals after a cut: it persists, or it is gone.
_HABIT, _RELIEVED = 0.05, 0.006
_CERTAIN = 3.0
_ENOUGH_SENT = 30


def finding(tally: Tally) -> Finding:
    """Return the result of a trial from the calls since its cut."""
    served = tally.sent - tally.refused
    weight = tally.refused * log(_HABIT / _RELIEVED) + served * log((1 - _HABIT) / (1 - _RELIEVED))
    if weight < -_CERTAIN:
        return Finding.GONE
    if weight > _CERTAIN and tally.sent >= _ENOUGH_SENT and tally.refused >= _ENOUGH_REFUSED:
        return Finding.PERSISTS
    return Finding.OPEN
