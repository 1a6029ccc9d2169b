"""Passes what a group asks of a member from aiokafka's own task to the member's polls."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import anyio
from aiokafka import ConsumerRebalanceListener, TopicPartition

from service.messaging.broker import Partition


class Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]
    """The part of a member in the current rebalance, as far as aiokafka has told of it."""

    def __init__(self) -> None:
        self.revoking: frozenset[Partition] | None = None
        self.gained: frozenset[Partition] | None = None
        self._settled = False
        self._left = False
        self._news = anyio.Event()
        self._given_up = anyio.Event()
        self._interruptible = anyio.CancelScope()

    @property
    def pending(self) -> bool:
        """Whether the member has not finished its part of a rebalance."""
        return not self._settled

    async def wait(self, timeout_s: float) -> None:
        """Wait until partitions are revoked or assigned, for at most `timeout_s`."""
        if self.revoking is None and self.gained is None:
            with anyio.move_on_after(timeout_s):
                await self._news.wait()

    @contextmanager
    def interrupting(self, timeout_s: float) -> Iterator[None]:
        """End the block when partitions are revoked or assigned, at the latest after `timeout_s`."""
        with anyio.move_on_after(timeout_s) as self._interruptible:
            if self.revoking is not None or self.gained is not None:
                self._interruptible.cancel()
            yield

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Block aiokafka's task until a poll has given the partitions up."""
        self._settled, self.gained = False, None
        self.revoking = _ours(revoked)
        self._given_up = anyio.Event()
        self._tell()
        if not self._left:
            await self._given_up.wait()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Store the assignment; the next poll takes it over."""
        self.gained = _ours(assigned)
        self._tell()

    def revoked(self) -> None:
        """Mark the partitions as given up, and unblock aiokafka's task."""
        self.revoking = None
        self._given_up.set()

    def taken(self, gained: frozenset[Partition]) -> None:
        """Mark the gained partitions as taken over, unless a newer rebalance has begun meanwhile."""
        if self.gained is gained:
            self.gained, self._settled = None, True

    def let_go(self) -> None:
        """Never block aiokafka's task again: the member is leaving."""
        self._left = True
        self._given_up.set()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()
        self._interruptible.cancel()


def _ours(keys: Iterable[TopicPartition]) -> frozenset[Partition]:
    return frozenset(Partition(key.topic, key.partition) for key in keys)
