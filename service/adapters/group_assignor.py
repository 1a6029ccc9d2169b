"""Assigns a topic's partitions to the members of a consumer group: even and sticky; so it also elects the leaders.

The leader of `service.runtime.leader_election` is the member that gets the single partition.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import TypeVar

from service.messaging.broker import Partition

K = TypeVar("K", str, int)


def share_out(partitions: Iterable[Partition], owned: Mapping[K, AbstractSet[Partition]]) -> dict[K, set[Partition]]:
    """Return the new assignment; `owned` holds the previous partitions of every member, empty sets included.

    The numbers of partitions of two members differ by at most one. As few partitions as possible move, because the
    records in flight on a revoked partition have to be drained first. The owner of a topic's only partition keeps it
    until it leaves the group.
    """
    everything = sorted(partitions)
    members = sorted(owned, key=lambda member: (-len(owned[member]), member))
    least, rest = divmod(len(everything), len(members))
    free = set(everything)
    shares: dict[K, set[Partition]] = {}
    for turn, member in enumerate(members):
        shares[member] = set(sorted(owned[member] & free)[: least + (turn < rest)])
        free -= shares[member]
    spare = iter(sorted(free))
    for turn, member in enumerate(members):
        shares[member] |= set(islice(spare, least + (turn < rest) - len(shares[member])))
    return shares


def topics_by_takers(wanted: Mapping[K, AbstractSet[str]]) -> dict[frozenset[K], list[str]]:
    """Group topics by their set of subscribers; `wanted` holds the subscription of each member.

    The partitions of the topics of one group are assigned together.
    """
    found: defaultdict[frozenset[K], list[str]] = defaultdict(list)
    for topic in sorted(set().union(*wanted.values())):
        found[frozenset(member for member, topics in wanted.items() if topic in topics)].append(topic)
    return dict(found)
