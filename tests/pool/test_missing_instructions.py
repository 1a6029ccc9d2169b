"""Instructions that were lost with a topic are written again, once, from the pool."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from service.errors import BrokerError
from service.messaging import codec, topics
from service.messaging.broker import Broker, Committed, Partition
from service.messaging.messages import Instruction, InstructionsSearched, Message, PooledTask, TopicIds
from service.messaging.rights import Account, Operation, Resource, Right, rights_of
from service.pipeline.stages import admitting
from service.selfinstruct.recipe import ALPACA
from service.selfinstruct.tasks import InstanceReason
from tests.conftest import OpenBroker
from tests.fakes.brokers import Breakage, BreakingBroker
from tests.fakes.guarded_brokers import GuardedBroker
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


async def looks_through(broker: Broker) -> bool:
    """Start admit, and return whether it read the work of later stages."""
    guarded = GuardedBroker(broker, rights_of(Account.ADMIT, RUN), set())
    await work_off(admitting(guarded, examples.definition(1)))
    reads = {Right(Resource.TOPIC, topic.of(RUN), Operation.READ) for topic in (topics.INSTRUCTIONS, topics.CLASSIFIED)}
    return reads <= guarded.used


def searched(**ids: str) -> InstructionsSearched:
    return InstructionsSearched(run=RUN, complete=True, ids=ids, instructions=0, tasks=0)


async def test_a_recreated_topic_is_looked_through_once(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *ON_THE_LOG, *instructions(TASKS))
        assert not await looks_through(broker)
        for name in ("instructions", "classified"):
            await send(broker, *(TopicIds(run=RUN, ids={name: each}) for each in ("a", "b")))
            assert [await looks_through(broker) for _ in range(3)] == [True, False, False]
        for ids in ({"classified": "c"}, {"instructions": "d"}):
            await send(broker, TopicIds(run=RUN, ids=ids))
            # a search that began before has ended
            await send(broker, searched(instructions="b", classified="b"))
            assert [await looks_through(broker) for _ in range(2)] == [True, False]


async def test_too_few_instructions_are_looked_through_once(open_broker: OpenBroker) -> None:
    """Those of completed tasks are gone for ever, so their number stays below that of the tasks."""
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *ON_THE_LOG, *(examples.task_instances(task.id) for task in TASKS[:4]))
        assert [await looks_through(broker) for _ in range(3)] == [True, False, False]
        assert await written(broker) == ["m5", "m6"]
        await send(broker, examples.pooled(7), examples.decision(1, accepted=1, pool_size=8))
        assert [await looks_through(broker) for _ in range(2)] == [True, False]
        assert await written(broker) == ["m5", "m6", "m7"]


async def test_ids_without_a_name_are_no_other_ids(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *ON_THE_LOG, *instructions(TASKS))
        await send(broker, *(TopicIds(run=RUN, ids=ids) for ids in ({"pool": "x"}, {"pool": "x", "instructions": "a"})))
        assert not await looks_through(broker)


@pytest.mark.parametrize("commits", [0, 1, 2])
async def test_a_search_that_fails_is_begun_again(open_broker: OpenBroker, commits: int) -> None:
    """The commits are those of its begin, of the instructions and of its end."""
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *ON_THE_LOG)
        with capture_logs() as logs, pytest.raises(BrokerError):
            await work_off(admitting(BreakingBroker(broker, Breakage.BEFORE, commits), examples.definition(1)))
        again = [6] if commits > 1 else []
        assert [each["records"] for each in logs if each["event"] == "results.written_again"] == again
        assert len(await written(broker)) == sum(again)
        assert [await looks_through(broker) for _ in range(2)] == [True, False]
        assert len(await written(broker)) == 6


async def test_work_of_other_recipes_is_left_alone(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *ON_THE_LOG)
        await work_off(admitting(broker, examples.definition(1, ALPACA)))
        assert await written(broker) == []
