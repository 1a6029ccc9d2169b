"""Consumer groups of the embedded broker: who owns which partition, by generation, as Kafka's eager protocol does it.

A member notices a rebalance at its next poll: it gives up everything (its last commit is still accepted), waits for the
others, and the last to come starts the next generation. Who does not come in time is expelled and must join again.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import anyio

from service.adapters.partition_assignment import share_out, topics_by_takers
from service.errors import IllegalGenerationError
from service.messaging.broker import Partition


@dataclass(eq=False, slots=True)
class Membership:
    """One member's place in its group. `kept` is what it owned last, also while it owns nothing at a rebalance."""

    topics: tuple[str, ...]
    wake: Callable[[], None]
    generation: int = -1
    owned: frozenset[Partition] = frozenset()
    kept: frozenset[Partition] = frozenset()


@dataclass(eq=False)
class Group:
    """The members of one group. Everything happens on one event loop, so no step here can be interrupted."""

    name: str
    partitions_of: Callable[[str], Sequence[Partition]]
    rebalance_timeout_s: float
    generation: int = 0
    _members: list[Membership] = field(default_factory=list)
    _waiting: set[Membership] = field(default_factory=set)
    _rebalancing: bool = False
    _settled: anyio.Event = field(default_factory=anyio.Event)

    def join(self, member: Membership) -> None:
        """Add a member; everybody has to come together again."""
        self._members.append(member)
        self._disturb()

    def leave(self, member: Membership) -> None:
        """Remove a member; the rest share its partitions at their next polls."""
        self._waiting.discard(member)
        if member in self._members:
            self._members.remove(member)
            self._disturb()
            self._settle_if_complete()

    def must_rejoin(self, member: Membership) -> bool:
        """Return whether the member has to give up its partitions and `settle` again."""
        return self._rebalancing or member.generation != self.generation

    async def settle(self, member: Membership) -> None:
        """Wait for the others, then take this member's share of the next generation."""
        try:
            while member not in self._members or self.must_rejoin(member):
                self._come(member)
                with anyio.move_on_after(self.rebalance_timeout_s) as patience:
                    await self._settled.wait()
                if patience.cancelled_caught:
                    self._expel_absent()
        finally:
            self._waiting.discard(member)

    def _come(self, member: Membership) -> None:
        if member not in self._members:
            self.join(member)
        self._waiting.add(member)
        self._settle_if_complete()

    def check(self, member: Membership, partitions: Collection[Partition]) -> None:
        """Raise unless the member still owns these partitions in the group's present generation."""
        if member not in self._members or member.generation != self.generation:
            raise IllegalGenerationError(
                f"group {self.name}: expected a commit of generation {self.generation}, got {member.generation}; "
                "the partitions have other owners now"
            )
        foreign = [str(partition) for partition in partitions if partition not in member.owned]
        if foreign:
            raise IllegalGenerationError(f"group {self.name}: expected partitions of the member, got {foreign}")

    def owned(self) -> list[frozenset[Partition]]:
        """Return what each member owns."""
        return [member.owned for member in self._members]

    def _disturb(self) -> None:
        if not self._rebalancing:
            self._rebalancing = True
            self._settled = anyio.Event()
        for member in self._members:
            member.wake()

    def _expel_absent(self) -> None:
        self._members = [member for member in self._members if member in self._waiting]
        self._settle_if_complete()

    def _settle_if_complete(self) -> None:
        if not self._rebalancing or not self._members or len(self._waiting) < len(self._members):
            return
        self.generation += 1
        for member, share in zip(self._members, self._shares(), strict=True):
            member.owned = member.kept = frozenset(share)
            member.generation = self.generation
        self._rebalancing = False
        self._waiting.clear()
        self._settled.set()

    def _shares(self) -> list[set[Partition]]:
        """Return the partitions of each member; what it has had so far is what it keeps first."""
        shares: list[set[Partition]] = [set() for _ in self._members]
        wanted = {place: frozenset(member.topics) for place, member in enumerate(self._members)}
        for takers, topics in topics_by_takers(wanted).items():
            partitions = [partition for topic in topics for partition in self.partitions_of(topic)]
            for place, share in share_out(partitions, {place: self._members[place].kept for place in takers}).items():
                shares[place] |= share
        return shares
