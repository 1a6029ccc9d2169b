"""This process's share of the limits of the whole fleet: calls at once, requests and tokens a minute.

A limit is cut into as many leases as the group of leases has partitions; the owner of a partition holds its lease
(`service.pipeline.fleet_leases`). The units of a limit are spread evenly over the leases, since a process owns
neighbouring ones: of a limit below their number, the owners of the last leases must have a part too. The leases add up
to the limit exactly.
"""

import math
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from msgspec import Struct

from service.lm.dispatch.token_bucket import TokenBucket

_FIRST_GUESS_TOKENS = 500.0
_GUESS_HORIZON = 100


class FleetLimits(Struct, frozen=True):
    """Limits of all processes together; none means no limit."""

    max_in_flight: int | None = None
    rpm: float | None = None
    tpm: float | None = None


class Leases(Struct, frozen=True):
    """The leases that this process holds, of `total` in all."""

    owned: AbstractSet[int]
    total: int

    def units(self, limit: int) -> int:
        """Return how many units of a limit are ours."""
        return sum((number + 1) * limit // self.total - number * limit // self.total for number in self.owned)

    @property
    def part(self) -> float:
        """Return the held fraction of all leases, 0 to 1."""
        return len(self.owned) / self.total


EVERYTHING = Leases(frozenset({0}), 1)
NOTHING = Leases(frozenset(), 1)
_UNLIMITED = FleetLimits()


@dataclass(slots=True)
class FleetShare:
    """This process's part of the fleet's limits, and its use. Times are seconds."""

    limits: FleetLimits = _UNLIMITED
    leases: Leases = EVERYTHING
    _requests: TokenBucket | None = None
    _tokens: TokenBucket | None = None
    _guess: float = _FIRST_GUESS_TOKENS
    _guessed: int = field(default=0)

    def update(self, now_s: float, limits: FleetLimits | None = None, leases: Leases | None = None) -> None:
        """Take other limits or other leases over."""
        self.limits = limits or self.limits
        self.leases = leases or self.leases
        self._requests = _resized(self._requests, self.limits.rpm, self.leases.part, now_s)
        self._tokens = _resized(self._tokens, self.limits.tpm, self.leases.part, now_s)

    @property
    def has_part(self) -> bool:
        """Return whether calls may be made here at all."""
        return self.places > 0 and self.leases.part > 0

    @property
    def places(self) -> float:
        """Return how many calls may be in flight here; infinite without a limit."""
        limit = self.limits.max_in_flight
        return math.inf if limit is None else self.leases.units(limit)

    def opens_in_s(self, now_s: float) -> float:
        """Return after how long the rates allow the next call; 0 if now."""
        requests = self._requests.opens_in_s(now_s) if self._requests is not None else 0.0
        tokens = self._tokens.opens_in_s(now_s, self._guess) if self._tokens is not None else 0.0
        return max(requests, tokens)

    def begin(self) -> float:
        """Take the share of one call; returns the tokens taken, an estimate."""
        if self._requests is not None:
            self._requests.take(1.0)
        if self._tokens is not None:
            self._tokens.take(self._guess)
        return self._guess

    def undo(self, taken: float) -> None:
        """Give back the share of a call that was not made."""
        if self._requests is not None:
            self._requests.take(-1.0)
        if self._tokens is not None:
            self._tokens.take(-taken)

    def used(self, tokens: int, taken: float) -> None:
        """Correct the tokens taken for one call by the real number, and learn from it."""
        if self._tokens is not None:
            self._tokens.take(tokens - taken)
        if tokens:
            self._guessed = min(self._guessed + 1, _GUESS_HORIZON)
            self._guess += (tokens - self._guess) / self._guessed


def _resized(bucket: TokenBucket | None, per_minute: float | None, part: float, now_s: float) -> TokenBucket | None:
    if per_minute is None:
        return None
    if bucket is None:
        return TokenBucket(per_minute * part, now_s)
    bucket.resize(per_minute * part, now_s)
    return bucket
