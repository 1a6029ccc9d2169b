"""Consumer groups of the embedded broker: ownership of partitions by generation, as in Kafka's eager protocol.

A member notices a rebalance at its next poll. It gives up all partitions (its last commit is still accepted) and waits
for the other members. The last member to arrive starts the next generation. A member that does not arrive in time is
expelled and must join again.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import anyio

from service.adapters.group_assignor import share_out, topics_by_takers
from service.errors import IllegalGenerationError
from service.messaging.broker import Partition


@dataclass(eq=False, slots=True)
class Membership:
    """One member of a group. `kept` is its last assignment, also while it owns no partition during a rebalance."""

    topics: tuple[str, ...]
    wake: Callable[[], None]
    generation: int = -1
    owned: frozenset[Partition] = frozenset()
    kept: frozenset[Partition] = frozenset()


@dataclass(eq=False)
class Group:
    """The members of one group. All calls run on one event loop, so code without `await` cannot be interrupted."""

    name: str
    partitions_of: Callable[[str], Sequence[Partition]]
    rebalance_timeout_s: float
    generation: int = 0
    _members: list[Membership] = field(default_factory=list)
    _waiting: set[Membership] = field(default_factory=set)
    _rebalancing: bool = False
    _settled: anyio.Event = field(default_factory=anyio.Event)

    def join(self, member: Membership) -> None:
        """Add a member and start a rebalance."""
        self._members.append(member)
        self._disturb()

    def leave(self, member: Membership) -> None:
        """Remove a member and start a rebalance; the others share its partitions at their next polls."""
        self._waiting.discard(member)
        if member in self._members:
            self._members.remove(member)
            self._disturb()
            self._settle_if_complete()

    def must_rejoin(self, member: Membership) -> bool:
        """Return whether the member has to give up its partitions and `settle` again."""
        return self._rebalancing or member.generation != self.generation

    def is_member(self, member: Membership) -> bool:
        """Return whether the member has not been expelled, so that its partitions are its own."""
        return member in self._members

    async def settle(self, member: Membership) -> None:
        """Wait for the next generation, in which this member has its share; expel members that do not come in time."""
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
        """Raise `IllegalGenerationError` unless the member owns these partitions in the group's current generation."""
        if member not in self._members or member.generation != self.generation:
            raise IllegalGenerationError(
                f"group {self.name}: expected a commit of generation {self.generation}, got {member.generation}; "
                "the partitions have other owners now"
            )
        foreign = [str(partition) for partition in partitions if partition not in member.owned]
        if foreign:
            raise IllegalGenerationError(f"group {self.name}: expected partitions of the member, got {foreign}")

    def owned(self) -> list[frozenset[Partition]]:
        """Return the partitions of each member, in the order of joining."""
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
        """Return the new partitions of each member; members keep as many of their last ones as possible."""
        shares: list[set[Partition]] = [set() for _ in self._members]
        wanted = {place: frozenset(member.topics) for place, member in enumerate(self._members)}
        for takers, topics in topics_by_takers(wanted).items():
            partitions = [partition for topic in topics for partition in self.partitions_of(topic)]
            for place, share in share_out(partitions, {place: self._members[place].kept for place in takers}).items():
                shares[place] |= share
        return shares
