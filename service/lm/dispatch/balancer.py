"""Spread calls over all servers that offer the model: the one with most room is next, and another after a failure."""

import math
from collections.abc import Callable, Sequence

import anyio

from service.lm.concurrency import Slot
from service.lm.dispatch.fleet_share import FleetShare
from service.lm.dispatch.upstream import Upstream, UpstreamState
from service.lm.errors import EndpointRefusedError


class Balancer:
    """Admit as many calls as the open upstreams take together, within this process's share of the fleet's limits.

    It is the gate that `service.lm.concurrency` asks.
    """

    def __init__(
        self, upstreams: Sequence[Upstream], share: FleetShare, clock: Callable[[], float] = anyio.current_time
    ) -> None:
        self.all = tuple(upstreams)
        self.share = share
        self._clock = clock

    def admits(self, in_use: int) -> bool:
        """Return whether there may be one more call than these."""
        now_s = self._clock()
        return (
            in_use < self.share.places
            and in_use < sum(max(upstream.places(now_s), upstream.in_use) for upstream in self.all)
            and self.share.opens_in_s(now_s) <= 0
        )

    def entered(self, slot: Slot) -> None:
        """Take one call from this process's share."""
        slot.tokens = self.share.begin()

    def left(self, slot: Slot) -> None:
        """Give back the share of a call that was not made."""
        self.share.undo(slot.tokens)

    def opens_in_s(self) -> float:
        """Return after how long an upstream opens, or the rate allows the next call."""
        now_s = self._clock()
        rate_s = self.share.opens_in_s(now_s)
        return rate_s if rate_s > 0 else min(upstream.opens_in_s(now_s) for upstream in self.all)

    def choose(self, avoid: Upstream | None = None) -> Upstream:
        """Return the upstream with most places free; another one than `avoid`, if that has any free.

        A closed upstream whose trial is due comes first: else it would stay closed as long as others have room.
        """
        now_s = self._clock()
        due = [upstream for upstream in self.all if upstream.trial_is_due(now_s)]
        if due:
            return due[0]
        free = {upstream: upstream.places(now_s) - upstream.in_use for upstream in self.all}
        others = [upstream for upstream in self.all if upstream is not avoid and free[upstream] > 0]
        return max(others or self.all, key=lambda upstream: free[upstream])

    @property
    def refusal(self) -> EndpointRefusedError | None:
        """Return why no upstream takes calls, or none if one does."""
        refusals = [upstream.refusal for upstream in self.all]
        return None if None in refusals else refusals[0]

    @property
    def limit(self) -> int:
        """Return how many calls may be in flight now."""
        now_s = self._clock()
        places = sum(
            upstream.places(now_s) for upstream in self.all if upstream.state(now_s) is not UpstreamState.CLOSED
        )
        return int(min(places, self.share.places))

    def closed_for_s(self) -> float:
        """Return for how long no upstream has taken calls."""
        now_s = self._clock()
        return min((upstream.closed_for_s(now_s) for upstream in self.all), default=math.inf)
