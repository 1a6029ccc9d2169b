"""Assigns the partitions of a group on Kafka, by the rule of `service.adapters.group_assignor`."""

from collections.abc import Callable, Iterable, Mapping

import orjson
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from service.adapters.group_assignor import share_out, topics_by_takers
from service.messaging.broker import Partition


class KeepingAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """Sticky assignor: as few partitions as possible change hands. Members report the partitions that they have had.

    aiokafka's own sticky assignor stores those on its class, so two groups in one process would share them.
    """

    name = "seedstream"

    def __init__(self, is_expelled: Callable[[], bool]) -> None:
        self.owned: frozenset[Partition] = frozenset()
        self._is_expelled = is_expelled

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """Return this member's topics and partitions for the group leader; an expelled member has no partitions."""
        if self._is_expelled():
            self.owned = frozenset()
        owned = [[partition.topic, partition.number] for partition in sorted(self.owned)]
        return ConsumerProtocolMemberMetadata(0, sorted(topics), orjson.dumps(owned))

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Assign the partitions of each topic to the members that subscribe to it."""
        shares: dict[str, set[Partition]] = {member: set() for member in members}
        wanted = {name: frozenset(each.subscription) for name, each in members.items()}
        for takers, topics in topics_by_takers(wanted).items():
            partitions = [
                Partition(topic, number) for topic in topics for number in cluster.partitions_for_topic(topic) or ()
            ]
            for name, share in share_out(partitions, {name: _said(members[name]) for name in takers}).items():
                shares[name] |= share
        return {name: ConsumerProtocolMemberAssignment(0, _by_topic(share), b"") for name, share in shares.items()}

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Do nothing: `owned` is set when the partitions are taken over."""


def _by_topic(share: set[Partition]) -> list[tuple[str, list[int]]]:
    topics = sorted({partition.topic for partition in share})
    return [(topic, sorted(each.number for each in share if each.topic == topic)) for topic in topics]


def _said(member: ConsumerProtocolMemberMetadata) -> frozenset[Partition]:
    return frozenset(Partition(topic, number) for topic, number in orjson.loads(member.user_data or b"[]"))
