"""How the members of a consumer group share the partitions of a topic: evenly, and whoever has one keeps it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import TypeVar

from service.messaging.broker import Partition

K = TypeVar("K", str, int)


def share_out(partitions: Iterable[Partition], owned: Mapping[K, AbstractSet[Partition]]) -> dict[K, set[Partition]]:
    """Return the partitions of each member; `owned` names the members and what each has had so far.

    No member gets two more than another. As few partitions as possible change hands, since what is in flight on one
    that moves has to be waited for; and the single owner of a single partition stays it while it lives.
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
    """Return the topics that the same members want, which are shared out together; `wanted` is what each wants."""
    found: defaultdict[frozenset[K], list[str]] = defaultdict(list)
    for topic in sorted(set().union(*wanted.values())):
        found[frozenset(member for member, topics in wanted.items() if topic in topics)].append(topic)
    return dict(found)
