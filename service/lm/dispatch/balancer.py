"""Spread calls over all servers that offer the model: the one with most room is next, and another after a failure."""

import math
from collections.abc import Callable, Sequence

import anyio

from service.lm.concurrency import Slot
from service.lm.dispatch.fleet_share import Share
from service.lm.dispatch.upstream import Lane, LaneState
from service.lm.errors import EndpointRefusedError


class Lanes:
    """Admit as many calls as the open upstreams take together, within this process's share of the fleet's limits.

    It is the gate that `service.lm.concurrency` asks.
    """

    def __init__(self, lanes: Sequence[Lane], share: Share, clock: Callable[[], float] = anyio.current_time) -> None:
        self.all = tuple(lanes)
        self.share = share
        self._clock = clock

    def admits(self, in_use: int) -> bool:
        """Return whether there may be one more call than these."""
        now_s = self._clock()
        return (
            in_use < self.share.places
            and in_use < sum(max(lane.places(now_s), lane.in_use) for lane in self.all)
            and self.share.opens_in_s(now_s) <= 0
        )

    def entered(self, slot: Slot) -> None:
        """Take one more call out of this process's share."""
        slot.tokens = self.share.begin()

    def left(self, slot: Slot) -> None:
        """Put back what was taken for a call that was not made."""
        self.share.undo(slot.tokens)

    def opens_in_s(self) -> float:
        """Return after how long a lane opens, or the rate allows the next call."""
        now_s = self._clock()
        rate_s = self.share.opens_in_s(now_s)
        return rate_s if rate_s > 0 else min(lane.opens_in_s(now_s) for lane in self.all)

    def choose(self, avoid: Lane | None = None) -> Lane:
        """Return the lane with most places free; another one than `avoid`, if that has any free.

        A closed lane whose trial is due comes first: else it would stay closed as long as others have room.
        """
        now_s = self._clock()
        due = [lane for lane in self.all if lane.trial_is_due(now_s)]
        if due:
            return due[0]
        free = {lane: lane.places(now_s) - lane.in_use for lane in self.all}
        others = [lane for lane in self.all if lane is not avoid and free[lane] > 0]
        return max(others or self.all, key=lambda lane: free[lane])

    @property
    def refusal(self) -> EndpointRefusedError | None:
        """Return why no lane takes calls; none where one does."""
        refusals = [lane.refusal for lane in self.all]
        return None if None in refusals else refusals[0]

    @property
    def limit(self) -> int:
        """Return how many calls may be in flight now."""
        now_s = self._clock()
        places = sum(lane.places(now_s) for lane in self.all if lane.state(now_s) is not LaneState.CLOSED)
        return int(min(places, self.share.places))

    def closed_for_s(self) -> float:
        """Return for how long no lane has taken calls."""
        now_s = self._clock()
        return min((lane.closed_for_s(now_s) for lane in self.all), default=math.inf)
