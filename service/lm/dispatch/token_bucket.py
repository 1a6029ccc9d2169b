"""A token bucket for requests or tokens a minute. Pure; times are seconds."""

import math
from dataclasses import dataclass

_BURST_S = 1.0
_MINUTE_S = 60.0


@dataclass(slots=True)
class TokenBucket:
    """A rate of units a minute; it holds a second's worth at most, and may go below zero, which is waited for."""

    per_minute: float
    now_s: float
    level: float = 0.0

    @property
    def _per_s(self) -> float:
        return self.per_minute / _MINUTE_S

    @property
    def _most(self) -> float:
        return max(1.0, self._per_s * _BURST_S)

    def refill(self, now_s: float) -> None:
        """Add the units of the time since the last refill."""
        self.level = min(self._most, self.level + (now_s - self.now_s) * self._per_s)
        self.now_s = now_s

    def resize(self, per_minute: float, now_s: float) -> None:
        """Change the rate; the content stays, as far as it fits."""
        self.refill(now_s)
        self.per_minute = per_minute
        self.level = min(self.level, self._most)

    def take(self, units: float) -> None:
        """Take units out; a correction may put some back."""
        self.level = min(self._most, self.level - units)

    def opens_in_s(self, now_s: float, units: float = 1.0) -> float:
        """Return after how long these units, or a full bucket, will be there; 0 if they are, infinite if never."""
        self.refill(now_s)
        missing = min(units, self._most) - self.level
        if missing <= 0:
            return 0.0
        return missing / self._per_s if self.per_minute > 0 else math.inf
