"""Finds the instructions that are lost because a topic of work was deleted and created again.

Every machine task of the pool is work for later stages until it has instances. It is on its way while its record on
`instructions` or `classified` is still to be read by the group of that stage. A task that has no instances, is not on
its way and is not among the dead letters is lost: its instruction is written again. `pool` has all that is needed.
That reads all work, so it is done once: records on `control` say when a search begins, and what it has covered.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import structlog
from msgspec import structs

from service.messaging.broker import Broker, Isolation, Partition, Record
from service.messaging.codec import is_ours
from service.messaging.dead_letters import DEAD_LETTER_TOPICS, DeadLetter
from service.messaging.messages import Instruction, InstructionsSearched, Message, PooledTask, Provenance, TopicIds
from service.messaging.start_offset import check_not_beyond_end
from service.messaging.topic_reader import Tail
from service.messaging.topics import CLASSIFIED, CONTROL, INSTANCES, INSTRUCTIONS, POOL, Topic

_BATCH = 1_000
# The group that reads each topic of work.
_READERS: dict[Topic[Message], str] = {INSTRUCTIONS: "classify", CLASSIFIED: "instances"}

log = structlog.get_logger()


async def missing_instructions(broker: Broker, run: str, machine_tasks: int) -> AsyncIterator[Sequence[Message]]:
    """Yield what has to be written: the lost instructions in batches, between the records that say how far this is.

    Each batch must be written before the next is asked for. `machine_tasks` is the number of such tasks in the pool.

    It searches only if a topic of work was recreated: `control` has another id of it, or there are fewer records on
    `instructions` than machine tasks in the pool, since the last search; or if that search was not completed.

    Raises:
        TopicRecreatedError: a group would go on beyond the end of the new topic, and skip what is written now.
    """
    last = await _read_control(broker, run)
    records = await _records(broker, run)
    if not (last.is_due or records - last.instructions < machine_tasks - last.tasks):
        return
    starts = await _starts(broker, run)
    search = InstructionsSearched(
        run=run, complete=False, ids=last.ids, instructions=last.instructions, tasks=last.tasks
    )
    yield [search]  # from now on, records of an aborted transaction may count as instructions
    async for batch in _lost(broker, run, await _kept(broker, run, starts)):
        yield batch
        log.warning("results.written_again", stage="admit", records=len(batch))
    yield [structs.replace(search, complete=True, instructions=await _records(broker, run), tasks=machine_tasks)]


async def _lost(broker: Broker, run: str, kept: AbstractSet[str]) -> AsyncIterator[Sequence[Instruction]]:
    batch: list[Instruction] = []
    async with Tail.of(broker, run, [POOL]) as pool:
        async for message in pool.messages_to_end():
            if isinstance(message, PooledTask) and message.provenance is not None and message.id not in kept:
                batch.append(_instruction(message, message.provenance))
                if len(batch) == _BATCH:
                    yield batch
                    batch = []
    if batch:
        yield batch


@dataclass(slots=True)
class _LastSearch:
    """The coverage of the last complete search. `ids` are the latest ones of the topics of work.

    `is_due` says that one of them has changed since, or that a later search has begun.
    """

    ids: dict[str, str] = field(default_factory=dict)
    is_due: bool = False
    instructions: int = 0
    tasks: int = 0

    def apply(self, message: Message) -> None:
        match message:
            case TopicIds():
                ids = {topic.name: message.ids[topic.name] for topic in _READERS if topic.name in message.ids}
                self.is_due |= any(self.ids.get(name, each) != each for name, each in ids.items())
                self.ids |= ids
            case InstructionsSearched(complete=False):
                self.is_due = True
            case InstructionsSearched() if message.ids == self.ids:
                self.is_due, self.instructions, self.tasks = False, message.instructions, message.tasks
            case _:
                pass


async def _read_control(broker: Broker, run: str) -> _LastSearch:
    last = _LastSearch()
    async with Tail.of(broker, run, [CONTROL]) as control:
        async for message in control.messages_to_end():
            last.apply(message)
    return last


async def _records(broker: Broker, run: str) -> int:
    """Return the number of records on `instructions`, or a few more."""
    name = INSTRUCTIONS.of(run)
    partitions = [Partition(name, number) for number in range(await broker.partitions(name))]
    return sum((await broker.end_offsets(partitions, Isolation.READ_UNCOMMITTED)).values())


async def _starts(broker: Broker, run: str) -> dict[Partition, int]:
    """Return the offset from which each partition of work is still to be read.

    Raises:
        TopicRecreatedError: a partition ends before it.
    """
    starts: dict[Partition, int] = {}
    for topic, reader in _READERS.items():
        group = f"seedstream.{run}.{reader}"
        partitions = [Partition(topic.of(run), number) for number in range(await broker.partitions(topic.of(run)))]
        committed = await broker.committed_offsets(group, partitions)
        for partition in partitions:
            starts[partition] = committed[partition].offset if partition in committed else 0
            await check_not_beyond_end(broker, group, partition, starts[partition])
    return starts


async def _kept(broker: Broker, run: str, starts: Mapping[Partition, int]) -> set[str]:
    """Return the ids of tasks that have instances, are on their way there, or are among the dead letters.

    The offsets were read first, the instances are read last: a task that moves on meanwhile is found at least once.
    """
    kept: set[str] = set()
    for topics in ([*_READERS], DEAD_LETTER_TOPICS, [INSTANCES]):
        async with Tail.of(broker, run, topics) as tail:
            async for record in tail.to_end():
                if record.offset >= starts.get(record.partition, 0) and (name := _kept_id(tail, record)) is not None:
                    kept.add(name)
    return kept


def _kept_id(tail: Tail, record: Record) -> str | None:
    """Return the id of the task of a record, which is its key; none for one of another program or one put back."""
    if not tail.holds_letters(record):
        return (record.key or b"").decode("utf-8", "replace") if is_ours(record) else None
    letter = DeadLetter.of(record, put_back=tail.is_put_back(record))
    return None if letter.put_back else letter.id


def _instruction(task: PooledTask, provenance: Provenance) -> Instruction:
    return Instruction(id=task.id, pool_seq=task.pool_seq, instruction=task.instruction, provenance=provenance)
