"""Finds the instructions that are lost because a topic of work was deleted and created again.

Every machine task of the pool is work for later stages until it has instances. It is on its way while its record on
`instructions` or `classified` is still to be read by the group of that stage. A task that has no instances, is not on
its way and is not among the dead letters is lost: its instruction is written again. `pool` has all that is needed.
"""

from collections.abc import AsyncIterator, Mapping, Sequence

from service.messaging.broker import Broker, Isolation, Partition, Record
from service.messaging.codec import is_ours
from service.messaging.dead_letters import DEAD_LETTER_TOPICS, DeadLetter
from service.messaging.messages import Instruction, Message, PooledTask, Provenance, TopicIds
from service.messaging.start_offset import check_not_beyond_end
from service.messaging.topic_reader import Tail
from service.messaging.topics import CLASSIFIED, CONTROL, INSTANCES, INSTRUCTIONS, POOL, Topic

_BATCH = 1_000
# The group that reads each topic of work.
_READERS: dict[Topic[Message], str] = {INSTRUCTIONS: "classify", CLASSIFIED: "instances"}


async def missing_instructions(broker: Broker, run: str, machine_tasks: int) -> AsyncIterator[Sequence[Instruction]]:
    """Yield the lost instructions in batches; `machine_tasks` is the number of such tasks in the pool.

    It looks for them only if a topic of work was recreated: `control` has two ids of it, or there are fewer records on
    `instructions` than machine tasks in the pool.

    Raises:
        TopicRecreatedError: a group would go on beyond the end of the new topic, and skip what is written now.
    """
    if not (await _records(broker, INSTRUCTIONS.of(run)) < machine_tasks or await _is_recreated(broker, run)):
        return
    kept = await _kept(broker, run, await _starts(broker, run))
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


async def _records(broker: Broker, topic: str) -> int:
    """Return the number of records of a topic, or a few more."""
    partitions = [Partition(topic, number) for number in range(await broker.partitions(topic))]
    return sum([await broker.end_offset(each, Isolation.READ_UNCOMMITTED) for each in partitions])


async def _is_recreated(broker: Broker, run: str) -> bool:
    ids: set[tuple[str, str | None]] = set()
    async with Tail.of(broker, run, [CONTROL]) as control:
        async for message in control.messages_to_end():
            if isinstance(message, TopicIds):
                ids.update((topic.name, message.ids.get(topic.name)) for topic in _READERS)
    return len(ids) > len(_READERS)


async def _starts(broker: Broker, run: str) -> dict[Partition, int]:
    """Return the offset from which each partition of work is still to be read.

    Raises:
        TopicRecreatedError: a partition ends before it.
    """
    starts: dict[Partition, int] = {}
    for topic, reader in _READERS.items():
        group = f"seedstream.{run}.{reader}"
        for number in range(await broker.partitions(topic.of(run))):
            partition = Partition(topic.of(run), number)
            committed = await broker.committed(group, partition)
            starts[partition] = committed.offset if committed is not None else 0
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
