"""The state of consumer groups at the brokers: committed offsets and members."""

from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import NoError, for_code
from aiokafka.protocol.commit import OffsetFetchRequest

from service.adapters.kafka.authorization import Right
from service.adapters.kafka.cluster import Cluster, describing
from service.messaging.broker import Committed, Member, Partition


async def committed_offsets(
    cluster: Cluster, group: str, partitions: Sequence[Partition]
) -> dict[Partition, Committed]:
    """Return the offset and metadata that a group has committed for those of the partitions that have one."""
    if not partitions:
        return {}
    numbers: dict[str, list[int]] = {}
    for partition in partitions:
        numbers.setdefault(partition.topic, []).append(partition.number)
    request = OffsetFetchRequest(group, list(numbers.items()))

    async def fetch() -> Any:
        coordinator = await cluster.admin.find_coordinator(group)
        answer = await cluster.admin._send_request(request, coordinator)  # noqa: SLF001 - see below
        # `list_consumer_group_offsets` drops the error of the whole response, such as a coordinator that moves.
        codes = [getattr(answer, "error_code", 0), *(each[-1] for _, each_of in answer.topics for each in each_of)]
        _raise_first(codes, f"offsets of group {group}")
        return answer.topics

    needed = Right("DESCRIBE", "group", group), describing(partitions)
    found = await cluster.ask(f"committed offsets of {group}", fetch, *needed)
    return {
        Partition(topic, number): Committed(offset, metadata or "")
        for topic, parts in found
        for number, offset, metadata, _ in parts
        if offset >= 0
    }


async def members(cluster: Cluster, group: str) -> list[Member]:
    """Return the current members of a group, each with its partitions."""

    async def fetch() -> Any:
        (answer,) = await cluster.admin.describe_consumer_groups([group])
        groups = answer.to_object()["groups"]
        _raise_first([each["error_code"] for each in groups], f"members of group {group}")
        return groups

    (found,) = await cluster.ask(f"members of {group}", fetch, Right("DESCRIBE", "group", group))
    return [_member(each) for each in found["members"]]


def _raise_first(codes: Iterable[int], what: str) -> None:
    """Raise the first error among the codes of a response."""
    for code in codes:
        if (error := for_code(code)) is not NoError:
            raise error(what)


def _member(found: dict[str, Any]) -> Member:
    """Parse a member in a broker's description of a group."""
    owned: set[Partition] = set()
    if found["member_assignment"]:
        assignment = ConsumerProtocol.ASSIGNMENT.decode(found["member_assignment"])
        owned = {Partition(topic, number) for topic, numbers in assignment.assignment for number in numbers}
    return Member(found["client_id"], frozenset(owned))
