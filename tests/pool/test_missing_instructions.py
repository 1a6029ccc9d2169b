"""Instructions that were lost with a topic are written again, once, from the pool."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from service.messaging import codec, topics
from service.messaging.broker import Broker, Committed, Partition
from service.messaging.messages import Instruction, Message, PooledTask, TopicIds
from service.pipeline.stages import admitting
from service.selfinstruct.recipe import ALPACA
from service.selfinstruct.tasks import InstanceReason
from tests.conftest import OpenBroker
from tests.support import examples
from tests.support.logs import RUN, create, read, send, work_off, write

pytestmark = pytest.mark.anyio

TASKS = [examples.pooled(number + 1) for number in range(6)]
ON_THE_LOG = [examples.pooled_seed(0), *TASKS, examples.decision(0, accepted=6, pool_size=7)]


async def written(broker: Broker) -> list[str]:
    return [instruction.id for instruction in await read(broker, topics.INSTRUCTIONS)]


async def commit(broker: Broker, stage: str, topic: topics.Topic[Message], offset: int) -> None:
    group = f"seedstream.{RUN}.{stage}"
    async with broker.transactional_producer("commit") as producer:
        await producer.begin()
        await producer.send_offsets(group, {Partition(topic.of(RUN), 0): Committed(offset)})
        await producer.commit()


def instructions(tasks: Sequence[PooledTask]) -> list[Instruction]:
    return [examples.instruction(task.id, task.instruction) for task in tasks]


async def test_lost_instructions_are_written_again_once(open_broker: OpenBroker) -> None:
    """One has instances, one was refused, two are classified and one of these is read, one is a dead letter."""
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *ON_THE_LOG)
        await send(broker, examples.task_instances("m1"), examples.task_instances("m2", InstanceReason.NONE_PARSED))
        await send(broker, *(examples.classified(name, is_classification=False) for name in ("m3", "m4")))
        await commit(broker, "instances", topics.CLASSIFIED, 1)
        letter = codec.encode(examples.classified("m5", is_classification=False), RUN)
        await write(broker, replace(letter, topic=topics.CLASSIFIED.dead_letters_of(RUN)))
        for _ in range(2):
            await work_off(admitting(broker, examples.definition(1)))
            assert await written(broker) == ["m3", "m6"]
        (again, _) = await read(broker, topics.INSTRUCTIONS)
        task = TASKS[2]
        assert (again.pool_seq, again.instruction, again.provenance) == (3, task.instruction, task.provenance)


@pytest.mark.parametrize("ids", [["a"], ["a", "b"]])
async def test_a_topic_with_another_id_is_looked_through(open_broker: OpenBroker, ids: list[str]) -> None:
    """The number of its records alone would not show that there are lost ones."""
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *ON_THE_LOG, *instructions(TASKS))
        await commit(broker, "classify", topics.INSTRUCTIONS, 5)
        await send(broker, *(TopicIds(run=RUN, ids={"instructions": "x", "classified": each}) for each in ids))
        await work_off(admitting(broker, examples.definition(1)))
        lost = [task.id for task in TASKS[:5]] if len(ids) > 1 else []
        assert (await written(broker))[6:] == lost


async def test_work_of_other_recipes_is_left_alone(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *ON_THE_LOG)
        await work_off(admitting(broker, examples.definition(1, ALPACA)))
        assert await written(broker) == []
