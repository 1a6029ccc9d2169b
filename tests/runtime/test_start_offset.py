"""The offset at which a writer with memory goes on if its committed offset is gone, and its reasons to refuse."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from consumers.admit import Admit
from consumers.finish import Finish
from service.errors import RecordsGoneError, TopicRecreatedError
from service.messaging import codec, topics
from service.messaging.broker import Broker, Committed, NewRecord, Partition
from service.messaging.messages import Message
from service.messaging.topic_reader import Tail
from service.runtime.transactional_worker import TransactionalWorker
from service.selfinstruct.recipe import SELF_INSTRUCT
from service.selfinstruct.tasks import InstanceReason
from tests.conftest import OpenBroker
from tests.fakes.brokers import Breakage, TruncatedBroker
from tests.support import examples
from tests.support.logs import (
    DEADLINE_S,
    RUN,
    committed,
    create,
    dead_letters,
    end,
    forget_offsets,
    read,
    send,
    work_off,
    write,
)

pytestmark = pytest.mark.anyio

RIVERS = "Name three rivers that flow through Europe"
SUM = "Add all the numbers from one to ten"
POISON = NewRecord(topics.INSTANCES.of(RUN), b"{", key=b"poison")


def admitting(broker: Broker) -> TransactionalWorker[Any]:
    return TransactionalWorker(Admit(SELF_INSTRUCT), broker, RUN)


def finishing(broker: Broker, target: int = 10) -> TransactionalWorker[Any]:
    return TransactionalWorker(Finish(RUN, lambda: target), broker, RUN)


def without_beginning(broker: Broker, *partitions: Partition) -> Broker:
    return TruncatedBroker(broker, Breakage.BEFORE, begins=dict.fromkeys(partitions, 3))


async def test_admit_goes_on_behind_its_last_result(open_broker: OpenBroker, tmp_path: Path) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.seed(0), examples.answer(0, RIVERS), examples.failed(1), examples.answer(0, SUM))
        await work_off(admitting(broker))
    await forget_offsets(tmp_path)
    async with open_broker() as broker:
        await send(broker, examples.answer(2, RIVERS, SUM))
        worker = admitting(broker)
        await work_off(worker)
        assert [task.id for task in await read(broker, topics.POOL)] == ["s0", "p0.0", "p2.1"]
        assert [decision.prompt_id for decision in await read(broker, topics.DECISIONS)] == ["p0", "p1", "p2"]
        assert worker.repeated == 1  # the repeated answer alone was read again: it has no result
        assert await committed(broker, "admit", topics.CANDIDATES) == await end(broker, topics.CANDIDATES)


async def test_the_offset_to_go_on_at_is_committed_at_once(open_broker: OpenBroker, tmp_path: Path) -> None:
    """Others look at it: screens, and whoever counts the records that wait."""
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *map(examples.task_instances, "abc"))
        await work_off(finishing(broker, 2))
    await forget_offsets(tmp_path)
    async with open_broker() as broker:
        await work_off(finishing(broker, 2))
        assert await committed(broker, "finish", topics.INSTANCES) == 2


async def test_finish_goes_on_behind_its_last_result(open_broker: OpenBroker, tmp_path: Path) -> None:
    """Poison and rejected tasks have no result: they are read again, and counted once."""
    rejected = examples.task_instances("x", InstanceReason.NONE_PARSED)
    async with open_broker() as broker:
        await create(broker, partitions=2)
        await write(broker, POISON)
        await send(broker, *map(examples.task_instances, "ab"), rejected)
        await work_off(finishing(broker))
    for name in "cd":
        await forget_offsets(tmp_path)
        async with open_broker() as broker:
            await send(broker, rejected, examples.task_instances("a"), examples.task_instances(name))
            await work_off(finishing(broker))
    async with open_broker() as broker:
        tasks = sorted((task.task_seq, task.id) for task in await read(broker, topics.TASKS))
        assert tasks == [(0, "a"), (1, "b"), (2, "c"), (3, "d")]
        assert len(await dead_letters(broker, topics.INSTANCES)) == 1
        assert await committed(broker, "finish", topics.INSTANCES) == await end(broker, topics.INSTANCES)


async def test_a_forged_cause_of_another_program_moves_nothing(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        forged = ((codec.CAUSE, f"{topics.INSTANCES.of(RUN)}/0/900".encode()),)
        await write(broker, NewRecord(topics.TASKS.of(RUN), b"hello", headers=forged))
        await send(broker, examples.task_instances("a"))
        await work_off(finishing(broker))
        assert await committed(broker, "finish", topics.INSTANCES) == 1


async def test_an_input_that_ends_before_the_offset_is_refused(open_broker: OpenBroker) -> None:
    """As on Kafka, where a topic can be deleted and created again."""
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *map(examples.task_instances, "abc"))
        source = Partition(topics.INSTANCES.of(RUN), 0)
        group = f"seedstream.{RUN}.finish"
        async with broker.transactional_producer(group) as producer:
            await producer.begin()
            await producer.send_offsets(group, {source: Committed(4)})
            await producer.commit()
        with pytest.raises(TopicRecreatedError, match=f"{source}.*--group {group} .*--reset-offsets"):
            await work_off(finishing(broker))
        assert await read(broker, topics.TASKS) == []


async def test_tasks_with_a_gap_are_not_numbered_on(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=2)
        await send(broker, examples.finished(0), examples.finished(2), examples.task_instances("a"))
        with pytest.raises(RecordsGoneError, match="number 2, and there are only 2"):
            await work_off(finishing(broker))


@pytest.mark.parametrize(
    ("on_the_log", "missing"),
    [
        ([examples.pooled_seed(0), examples.decision(0, accepted=1, pool_size=2)], "pool: expected 2 tasks"),
        ([examples.pooled_seed(0), examples.pooled(1)], "decisions: expected those of 2 tasks, got those of 0"),
        ([examples.pooled_seed(1)], "hole"),
    ],
)
async def test_admit_refuses_memory_that_is_not_whole(
    open_broker: OpenBroker, on_the_log: list[Message], missing: str
) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *on_the_log, examples.answer(1, RIVERS))
        ready = anyio.Event()
        with pytest.raises(RecordsGoneError, match=missing), anyio.fail_after(DEADLINE_S):
            await admitting(broker).run(anyio.Event(), ready)
        assert not ready.is_set()


@pytest.mark.parametrize("topic", [topics.TASKS, topics.CONTROL, topics.INSTRUCTIONS])
async def test_a_log_without_its_beginning_is_not_read(open_broker: OpenBroker, topic: topics.Topic[Message]) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=2)
        truncated = without_beginning(broker, Partition(topic.of(RUN), 0))
        with pytest.raises(RecordsGoneError, match=f"{topic.of(RUN)}/0: the records below offset 3 are gone"):
            async with Tail.of(truncated, RUN, topics.ALL):
                pass


async def test_hints_and_dead_letters_may_be_deleted(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        deleted = [Partition(topics.HINTS.of(RUN), 0), Partition(topics.PROMPTS.dead_letters_of(RUN), 0)]
        async with Tail.of(without_beginning(broker, *deleted), RUN, [topics.HINTS]):
            pass
