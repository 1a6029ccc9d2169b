"""A member of a consumer group on Kafka, which takes part in rebalances in its polls only.

aiokafka calls its rebalance listener from a task of its own. Here that task waits until the member polls, and the poll
runs the callbacks. A member therefore never loses partitions in the middle of its work, and the group expels a member
that does not poll. Gained partitions must not block that task, since no heartbeats would be sent meanwhile: the next
poll takes them over before it returns a record. Polls may be cancelled. aiokafka then no longer notices a member that
does not poll, so its own check (`max_poll_interval_ms`) is turned off.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
from aiokafka import TopicPartition
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    KafkaError,
    NoError,
    NotCoordinatorForGroupError,
    RebalanceInProgressError,
    UnknownMemberIdError,
    for_code,
)
from aiokafka.errors import IllegalGenerationError as IllegalGeneration
from aiokafka.protocol.commit import OffsetCommitRequest

from service.adapters.kafka.assignor import KeepingAssignor
from service.adapters.kafka.authorization import Right
from service.adapters.kafka.cluster import Cluster, as_keys
from service.adapters.kafka.group_state import committed_offsets
from service.adapters.kafka.membership import GroupSession
from service.adapters.kafka.readers import fetch, new_consumer, positions, stop
from service.adapters.kafka.rebalances import Rebalances
from service.errors import IllegalGenerationError
from service.messaging.broker import Listener, Offsets, Partition, Record

_NEVER_MS = 2**31 - 1
_MOVED_ON = (IllegalGeneration, UnknownMemberIdError, RebalanceInProgressError)


class KafkaGroupMember:
    """Reads the partitions that its group assigns to it."""

    def __init__(
        self, cluster: Cluster, group: str, topics: Sequence[str], on_revoked: Listener, on_assigned: Listener
    ) -> None:
        self._cluster = cluster
        self._group = group
        self._on_revoked = on_revoked
        self._on_assigned = on_assigned
        self._assignor = KeepingAssignor(self._is_expelled)
        self._rebalances = Rebalances()
        self._session = GroupSession(cluster.options.session_timeout_s)
        options = cluster.options
        self._consumer = new_consumer(
            cluster,
            group_id=group,
            session_timeout_ms=round(options.session_timeout_s * 1000),
            heartbeat_interval_ms=round(options.heartbeat_s * 1000),
            rebalance_timeout_ms=round(options.rebalance_timeout_s * 1000),
            max_poll_interval_ms=_NEVER_MS,
            partition_assignment_strategy=[self._assignor],
        )
        self._topics = tuple(topics)
        self._rights = Right("READ", "group", group), Right("READ", "topic", ", ".join(topics))
        self._owned: frozenset[Partition] = frozenset()
        self._positions: dict[Partition, int] = {}
        self._generation = (-1, "")
        self._fetched: list[Record] = []
        self._paused: frozenset[Partition] = frozenset()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, cluster: Cluster, group: str, topics: Sequence[str], on_revoked: Listener, on_assigned: Listener
    ) -> "AsyncIterator[KafkaGroupMember]":
        """Join a group; the member gets its partitions when it polls."""
        for topic in topics:
            await cluster.width(topic)
        member = cls(cluster, group, topics, on_revoked, on_assigned)
        consumer, rebalances = member._consumer, member._rebalances
        try:
            await cluster.ask("a connection", consumer.start)
            member._session.watch(consumer._coordinator)  # noqa: SLF001 - aiokafka creates it in `start`
            consumer.subscribe(list(topics), listener=rebalances)
            yield member
        finally:
            rebalances.let_go()
            await stop(consumer)

    def position(self, partition: Partition) -> int:
        """Return the next offset to read of an owned partition."""
        return self._positions[partition]

    def assignment(self) -> frozenset[Partition]:
        """Return the partitions owned now."""
        return self._owned

    def pause(self, partitions: frozenset[Partition]) -> None:
        """Return no records of these partitions, and of the others again."""
        self._paused = partitions

    def is_sure(self) -> bool:
        """Return whether the group has heard of this member within its session, and has not expelled it."""
        return self._session.is_open and not self._is_expelled()

    async def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        """Return records of the owned partitions; a pending rebalance comes first.

        The list is empty if no record comes within `timeout_s`, or if the other members do not finish the rebalance.
        """
        deadline = anyio.current_time() + timeout_s
        while True:
            if not await self._take_part():
                return []
            records = await self._fetch(max_records, max(0.0, deadline - anyio.current_time()))
            # Records fetched when a rebalance begins are dropped: reading resumes at the committed offsets.
            if not self._rebalances.pending and (records or anyio.current_time() >= deadline):
                return records

    async def commit(self, offsets: Offsets) -> None:
        """Commit offsets of owned partitions.

        Raises:
            IllegalGenerationError: a partition is not owned, or the group has moved on.
        """
        foreign = [str(partition) for partition in offsets if partition not in self._owned]
        if foreign:
            raise IllegalGenerationError(f"group {self._group}: expected partitions of the member, got {foreign}")
        written: dict[str, list[tuple[int, int, str]]] = {}
        for partition, committed in offsets.items():
            written.setdefault(partition.topic, []).append((partition.number, committed.offset, committed.metadata))
        retention = OffsetCommitRequest.DEFAULT_RETENTION_TIME
        request = OffsetCommitRequest(self._group, *self._generation, retention, list(written.items()))
        await self._cluster.ask(f"commit of {self._group}", lambda: self._sent(request), *self._rights)

    async def _sent(self, request: OffsetCommitRequest) -> None:
        """Send a commit with the generation in which the partitions were gained.

        aiokafka's own `commit` sends the current generation. After the group has expelled this member there is none,
        and Kafka accepts such a commit as one from a consumer with manual assignment: it would overwrite the commits of
        the partitions' new owners.
        """
        coordinator = self._consumer._coordinator  # noqa: SLF001 - see above
        await coordinator.ensure_coordinator_known()
        response = await coordinator._send_req(request)  # noqa: SLF001 - see above
        for code in {code for _, partitions in response.topics for _, code in partitions}:
            error = for_code(code)
            if error in _MOVED_ON:
                raise IllegalGenerationError(
                    f"group {self._group}: the partitions have other owners now, or will have ({error.__name__})"
                )
            if error is NotCoordinatorForGroupError or error is GroupCoordinatorNotAvailableError:
                coordinator.coordinator_dead()
            if error is not NoError:
                raise error

    async def _take_part(self) -> bool:
        """Give up and take over partitions as the group asks; wait for the other members, in bounded time.

        Returns whether the assignment is settled.
        """
        options = self._cluster.options
        deadline = anyio.current_time() + options.rebalance_timeout_s + options.session_timeout_s
        while self._rebalances.pending:
            if self._rebalances.revoking is not None:
                await self._give_up()
                self._rebalances.revoked()
            elif self._rebalances.gained is not None:
                await self._take_over(self._rebalances.gained)
            elif anyio.current_time() < deadline:
                self._check()
                await self._rebalances.wait(1.0)
            else:
                return False
        return True

    async def _give_up(self) -> None:
        owned = self._owned
        if owned:
            await self._on_revoked(owned)
        self._owned, self._fetched = frozenset(), []

    async def _take_over(self, gained: frozenset[Partition]) -> None:
        """Seek to the group's committed offsets, in place of the positions that aiokafka looks up by itself."""
        self._consumer.drop_abandoned_fetches()
        coordinator = self._consumer._coordinator  # noqa: SLF001 - the generation of later commits; see `_sent`
        generation = coordinator.generation, coordinator.member_id
        starts = await self._starts(sorted(gained))
        if self._rebalances.gained is not gained or self._rebalances.revoking is not None:
            return  # a newer rebalance has replaced this one
        for partition, start in starts.items():
            self._consumer.seek(TopicPartition(partition.topic, partition.number), start)
        self._consumer.pause(*as_keys(sorted(gained)))  # until a poll asks for records: some members never do
        self._owned, self._positions = gained, starts
        self._generation = generation
        self._assignor.owned = gained
        await self._on_assigned(gained)
        self._rebalances.taken(gained)

    async def _starts(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        committed = await committed_offsets(self._cluster, self._group, partitions)
        others = [partition for partition in partitions if partition not in committed]
        begins = await self._cluster.begin_offsets(others) if others else {}
        return begins | {partition: each.offset for partition, each in committed.items()}

    async def _fetch(self, max_records: int, timeout_s: float) -> list[Record]:
        """Return records, or an empty list once a rebalance begins, which would block a fetch until it has ended."""
        if max_records == 0 or not self._owned:
            self._check()
            await self._rebalances.wait(timeout_s)
            return []
        if not self._fetched:  # a poll that was cancelled after its fetch leaves its records for the next one
            self._apply_pause()
            with self._rebalances.interrupting(timeout_s + 1.0):
                self._fetched = await fetch(self._cluster, self._consumer, max_records, timeout_s, *self._rights)
        if self._fetched or not self._rebalances.pending:
            self._positions |= await positions(self._consumer, sorted(self._owned))
        records, self._fetched = self._fetched, []
        return records

    def _apply_pause(self) -> None:
        """Tell aiokafka, which forgets it at every assignment; it drops what it has fetched of paused partitions."""
        wanted = set(as_keys(sorted(self._paused & self._owned)))
        paused = self._consumer.paused()
        self._consumer.resume(*(paused - wanted))
        self._consumer.pause(*(wanted - paused))

    def _is_expelled(self) -> bool:
        """Return whether the group does not know this member: it is new, or was silent for too long."""
        coordinator = self._consumer._coordinator  # noqa: SLF001 - aiokafka resets the generation then
        return bool(coordinator.generation == OffsetCommitRequest.DEFAULT_GENERATION_ID)

    def _check(self) -> None:
        """Raise the error that ended aiokafka's background task; aiokafka itself does so in its fetches only."""
        coordinator = self._consumer._coordinator  # noqa: SLF001 - there is no other way to ask without fetching
        try:
            coordinator.check_errors()
        except KafkaError as error:
            raise self._cluster.translated(f"group {self._group}", error, *self._rights) from error
