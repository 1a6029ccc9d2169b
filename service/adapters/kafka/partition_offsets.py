"""Asks the leaders of partitions where these begin and end.

A consumer of aiokafka can be asked too. It learns of the topics one after the other, with a tenth of a second between
two, and it answers for one isolation level.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, LeaderNotAvailableError, NoError, for_code
from aiokafka.protocol.offset import OffsetRequest

from service.messaging.broker import Isolation, Partition

_BEGIN, _END = -2, -1
_LEVELS = {Isolation.READ_UNCOMMITTED: 0, Isolation.READ_COMMITTED: 1}
_A_CONSUMER = -1


class PartitionOffsets:
    """The begins and ends of partitions, as their leaders tell them; no question is repeated."""

    def __init__(self, admin: AIOKafkaAdminClient) -> None:
        self._admin = admin
        self._client = admin._client  # noqa: SLF001 - the admin client has no question for offsets

    async def begins(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the offset of the first record that is left of each partition."""
        return await self._ask(partitions, _BEGIN, Isolation.READ_UNCOMMITTED)

    async def ends(self, partitions: Sequence[Partition], isolation: Isolation) -> dict[Partition, int]:
        """Return the offset behind the last record of each partition; if read-committed, behind the last stable one."""
        return await self._ask(partitions, _END, isolation)

    async def _ask(self, partitions: Sequence[Partition], where: int, isolation: Isolation) -> dict[Partition, int]:
        """Ask all leaders at once.

        Raises:
            KafkaError: a leader is unknown, or a broker does not answer or returned an error; the client has looked
                for the leaders again.
        """
        leaders = await self._leaders(partitions)
        led: dict[int, list[Partition]] = defaultdict(list)
        for partition, leader in leaders.items():
            led[leader].append(partition)
        questions = [self._ask_one(leader, of, where, isolation) for leader, of in led.items()]
        answers = await asyncio.gather(*questions, return_exceptions=True)
        found: dict[Partition, int] = {}
        for answer in answers:
            if isinstance(answer, KafkaError):
                await self._client.force_metadata_update()
            if isinstance(answer, BaseException):
                raise answer
            found |= answer
        return {partition: found[partition] for partition in partitions}

    async def _ask_one(
        self, leader: int, partitions: Sequence[Partition], where: int, isolation: Isolation
    ) -> Mapping[Partition, int]:
        asked: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for partition in partitions:
            asked[partition.topic].append((partition.number, where))
        request = OffsetRequest(_A_CONSUMER, _LEVELS[isolation], list(asked.items()))
        answer = await self._admin._send_request(request, leader)  # noqa: SLF001 - see above
        found = {}
        for topic, parts in answer.topics:
            for number, code, _, offset, *_ in parts:
                if (error := for_code(code)) is not NoError:
                    raise error(f"{topic}/{number}")
                found[Partition(topic, number)] = offset
        return found

    async def _leaders(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """Return the broker that leads each partition; the client knows those of all topics that were there before it.

        Raises:
            LeaderNotAvailableError: a partition has none now.
        """
        leaders = self._known_leaders(partitions)
        if min(leaders.values()) < 0:
            await self._client.force_metadata_update()
            leaders = self._known_leaders(partitions)
        for partition, leader in leaders.items():
            if leader < 0:
                raise LeaderNotAvailableError(str(partition))
        return leaders

    def _known_leaders(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the leader of each partition as far as it is known, -1 where none is."""
        found = {}
        for partition in partitions:
            leader = self._client.cluster.leader_for_partition(TopicPartition(partition.topic, partition.number))
            found[partition] = -1 if leader is None else leader
        return found
