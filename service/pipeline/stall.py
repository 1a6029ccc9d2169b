"""Tells whether a run stands still although it has work, and which roles its records wait for.

Work moves when a topic of results grows. Whoever works on the run, the ends of these topics tell; the committed offsets
of the roles tell what waits where.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio
import structlog

from service.errors import BrokerError
from service.messaging import topics
from service.messaging.broker import Broker, Isolation, Partition
from service.messaging.messages import Message
from service.messaging.topics import Topic
from service.pipeline.role import Role
from service.run.control import RunControl

_LOOK_EVERY_S = 10.0
# Longer than a call to the model may take by default.
_SAID_AFTER_S = 180.0

SOURCES: Mapping[Role, Topic[Message]] = {
    Role.GENERATE: topics.PROMPTS,
    Role.ADMIT: topics.CANDIDATES,
    Role.CLASSIFY: topics.INSTRUCTIONS,
    Role.INSTANCES: topics.CLASSIFIED,
    Role.FINISH: topics.INSTANCES,
}
# Every step of the work ends in a record of one of these.
_MOVING = (topics.CONTROL, topics.CANDIDATES, topics.DECISIONS, topics.CLASSIFIED, topics.INSTANCES, topics.TASKS)

log = structlog.get_logger()


@dataclass(slots=True)
class Stall:
    """For how long open work has stood still, and the records that wait by role; nothing while it moves or rests.

    Where no role has records to take, the run waits for its producer.
    """

    seconds: float = 0.0
    waiting: Mapping[Role, int] = field(default_factory=dict)


async def read_waiting(broker: Broker, run: str) -> dict[Role, int]:
    """Return the records that each role has not finished yet, without the roles that have none.

    Where no role has any, the producer is awaited, with no record.
    """
    sources = {role: await _partitions(broker, run, topic) for role, topic in SOURCES.items()}
    every_source = [partition for partitions in sources.values() for partition in partitions]
    ends = await broker.end_offsets(every_source, Isolation.READ_COMMITTED)
    waiting = {}
    for role, partitions in sources.items():
        committed = await broker.committed_offsets(f"seedstream.{run}.{role}", partitions)
        behind = (ends[each] - (committed[each].offset if each in committed else 0) for each in partitions)
        if count := sum(max(0, records) for records in behind):
            waiting[role] = count
    return waiting or {Role.PRODUCER: 0}


class StallWatch:
    """Looks regularly whether the work on a run moves, while it is not at rest; `stall` is what it saw last.

    `is_known` is false while it cannot look, such as for a right that is missing. The work goes on without it.
    """

    def __init__(self, broker: Broker, run: str, look_every_s: float = _LOOK_EVERY_S) -> None:
        self.stall = Stall()
        self.is_known = True
        self._told: set[type[BrokerError]] = set()
        self._broker = broker
        self._run = run
        self._look_every_s = look_every_s

    async def follow(self, control: RunControl) -> None:
        """Look until cancelled."""
        while True:
            await control.until(lambda: not control.at_rest)
            try:
                await self._watch_work(control)
            except BrokerError as error:
                self._lose_sight(error)
                await anyio.sleep(self._look_every_s)
            else:
                self._see(Stall())

    def _see(self, stall: Stall) -> None:
        self.stall, self.is_known = stall, True

    def _lose_sight(self, error: BrokerError) -> None:
        """Say once for each kind of error that it cannot be known whether work moves."""
        self.stall, self.is_known = Stall(), False
        if type(error) not in self._told:
            self._told.add(type(error))
            log.warning("stall.unknown", run=self._run, error=str(error))

    async def _watch_work(self, control: RunControl) -> None:
        """Look until the run is at rest."""
        ends, moved_s, said = await self._ends(), anyio.current_time(), False
        while not control.at_rest:
            with anyio.move_on_after(self._look_every_s):
                await control.until(lambda: control.at_rest)
            before, ends = ends, await self._ends()
            if ends != before:
                moved_s, said = anyio.current_time(), False
                self._see(Stall())
                continue
            waiting = await read_waiting(self._broker, self._run)
            self._see(Stall(anyio.current_time() - moved_s, waiting))
            if not said and self.stall.seconds >= _SAID_AFTER_S:
                said = True
                log.warning("run.stalled", run=self._run, seconds=round(self.stall.seconds), waiting_for=list(waiting))

    async def _ends(self) -> Mapping[Partition, int]:
        found = [each for topic in _MOVING for each in await _partitions(self._broker, self._run, topic)]
        return await self._broker.end_offsets(found, Isolation.READ_COMMITTED)


async def _partitions(broker: Broker, run: str, topic: Topic[Message]) -> list[Partition]:
    name = topic.of(run)
    return [Partition(name, number) for number in range(await broker.partitions(name))]
