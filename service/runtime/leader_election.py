"""Leader election: the active instance of a stage is the member of a group that owns its single partition.

The election is for speed alone: another instance takes over a few seconds after the active one has died. Safety
comes from the transactional id: of two instances that both believe to be active, one fences the other, which ends.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import structlog

from service.errors import FencedError, RunLockedError
from service.messaging.broker import Broker, Partition
from service.messaging.topics import CONTROL

_POLL_S = 0.5
# A rebalance ends a poll at once.
_STAND_S = 2.0

log = structlog.get_logger()


def election_group(run: str, role: str) -> str:
    """Return the name of the consumer group that decides who is active."""
    return f"seedstream.{run}.{role}.active"


class LeaderElection:
    """One candidate. It keeps its state during a rebalance, since the owner of a partition keeps it.

    `turn` is set once this instance has been elected.
    """

    def __init__(self, broker: Broker, run: str, role: str) -> None:
        self._broker = broker
        self._run = run
        self._role = role
        self.turn = anyio.Event()
        self._lost = False
        self.settled = False

    @property
    def won(self) -> bool:
        """Return whether this instance is the active one."""
        return self.turn.is_set() and not self._lost

    async def stand(self) -> None:
        """Be a candidate until cancelled."""
        group, topic = election_group(self._run, self._role), CONTROL.of(self._run)
        async with self._broker.group_member(group, [topic], self._keep_on, self._elected) as member:
            while True:
                await member.poll(0, _STAND_S)

    async def wait(self, timeout_s: float) -> bool:
        """Wait to be elected; returns whether this instance is active now."""
        with anyio.move_on_after(timeout_s):
            await self.turn.wait()
        return self.won

    def check(self) -> None:
        """Check that this instance is still the active one.

        Raises:
            FencedError: the group took it for dead, and another instance has been elected.
        """
        if self._lost:
            raise FencedError(f"{self._role}: this instance was silent for too long and another one has been elected")

    async def _keep_on(self, _: frozenset[Partition]) -> None:
        pass

    async def _elected(self, owned: frozenset[Partition]) -> None:
        if not owned and not self.settled:
            log.info("role.standing_by", role=self._role)
        self.settled = True
        if owned and not self.turn.is_set():
            log.info("role.active", role=self._role)
            self.turn.set()
        elif not owned and self.turn.is_set():
            self._lost = True


@asynccontextmanager
async def elected(broker: Broker, run: str, roles: Sequence[str], patience_s: float) -> AsyncIterator[None]:
    """Be the active instance of all these roles inside the block.

    A process that was killed counts as alive until its session has timed out: `patience_s` should be longer.

    Raises:
        RunLockedError: other processes are at work.
    """
    elections = [LeaderElection(broker, run, role) for role in roles]
    async with anyio.create_task_group() as tasks:
        for election in elections:
            tasks.start_soon(election.stand)
        with anyio.move_on_after(patience_s):
            for election in elections:
                while not await election.wait(_POLL_S):
                    pass
        if not all(election.won for election in elections):
            groups = [await broker.members(election_group(run, role)) for role in roles]
            active = sorted({member.name for members in groups for member in members if member.owned})
            raise RunLockedError(
                f"run {run!r}: other processes are at work ({', '.join(active)}); `seedstream goal` sets their "
                "target; once they are stopped, `seedstream run` does everything in one process"
            )
        yield
        tasks.cancel_scope.cancel()
