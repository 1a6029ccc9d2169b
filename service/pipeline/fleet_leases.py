"""Leases on shares of the fleet's limits, held as a partition assignment: a partition stands for a share of each limit.

The processes of a run that call a model are members of an additional consumer group for that model, on all dead letter
topics. These topics exist in every run, have many partitions, and hold hardly any records to fetch. The guarantees of
the group are those of a lease: no partition has two owners, a dead owner loses its partitions when its session times
out, and a new member gets a fair share. A member uses a gained partition only a few seconds after its assignment, when
the previous owner has stopped using it.
"""

from collections.abc import Callable, Sequence

import anyio
import structlog

from service.lm.dispatch.fleet_share import FleetLimits, Leases
from service.messaging.broker import Broker, Partition
from service.messaging.messages import GoalSet
from service.messaging.topics import ALL
from service.selfinstruct.steps import Step

_POLL_S = 0.5
# A rebalance ends a poll at once.
_POLL_SETTLED_S = 2.0
_SETTLED_AFTER_S = 3.0
_NO_CALLS = FleetLimits(max_in_flight=0)

log = structlog.get_logger()


def fleet_limits(goal: GoalSet | None, steps: Sequence[Step] = ()) -> FleetLimits:
    """Return a goal's limits for the model of these steps, for all processes together; no limits without a goal.

    A limit that is set for one of the steps takes the place of the run's; 0 means that there is none. A paused run
    allows no calls.
    """
    if goal is None:
        return FleetLimits()
    if goal.paused:
        return _NO_CALLS
    limits = {name: getattr(goal, name) for name in ("max_in_flight", "rpm", "tpm")}
    for step in steps:
        own = (goal.stages or {}).get(step.value)
        limits |= {} if own is None else own.named
    return FleetLimits(**{name: limit or None for name, limit in limits.items()})


class LeaseHolder:
    """The leases of one process on the limits of one model. `tell` is called at every change.

    `place` identifies the model and its server; it is empty for the run's own.
    """

    def __init__(
        self,
        broker: Broker,
        run: str,
        tell: Callable[[Leases], None],
        settled_after_s: float = _SETTLED_AFTER_S,
        place: str = "",
    ) -> None:
        self._group = f"seedstream.{run}.leases{f'.{place}' if place else ''}"
        self._broker = broker
        self._run = run
        self._tell = tell
        self._settled_after_s = settled_after_s
        self._numbers: dict[Partition, int] = {}
        self._owned_since: dict[int, float] = {}
        self._told: Leases | None = None

    async def hold(self) -> None:
        """Join the lease group and report usable leases until cancelled."""
        names = [topic.dead_letters_of(self._run) for topic in ALL]
        widths = {name: await self._broker.partitions(name) for name in names}
        partitions = [Partition(name, number) for name, width in widths.items() for number in range(width)]
        self._numbers = {partition: number for number, partition in enumerate(sorted(partitions))}
        total = len(partitions)
        self._say(Leases(frozenset(), total))
        async with self._broker.group_member(self._group, names, self._keep_on, self._settle) as member:
            while True:
                await member.poll(0, _POLL_SETTLED_S if self._is_settled else _POLL_S)
                settled_s = anyio.current_time() - self._settled_after_s
                usable = frozenset(number for number, since_s in self._owned_since.items() if since_s <= settled_s)
                self._say(Leases(usable, total))

    @property
    def _is_settled(self) -> bool:
        return self._told is not None and self._told.owned == self._owned_since.keys()

    async def _keep_on(self, _: frozenset[Partition]) -> None:
        pass

    async def _settle(self, owned: frozenset[Partition]) -> None:
        """Drop revoked leases at once, and note the time of gained ones, which become usable after a delay."""
        now_s = anyio.current_time()
        numbers = [self._numbers[partition] for partition in owned]
        self._owned_since = {number: self._owned_since.get(number, now_s) for number in numbers}
        if self._told is not None:
            self._say(Leases(self._told.owned & self._owned_since.keys(), self._told.total))

    def _say(self, leases: Leases) -> None:
        if leases != self._told:
            self._told = leases
            log.debug("leases.changed", owned=len(leases.owned), total=leases.total)
            self._tell(leases)
