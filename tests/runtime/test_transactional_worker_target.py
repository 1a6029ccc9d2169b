"""The finisher stops at exactly its target. It goes on from there when the target is raised."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from msgspec import structs

from consumers.finish import Finish
from service.errors import BrokerError
from service.messaging import codec, topics
from service.messaging.broker import Broker
from service.messaging.codec import header
from service.messaging.messages import Ending, FinishedTask, Message, RunEnded, TaskInstances
from service.runtime.stage import Outcome
from service.runtime.transactional_worker import TransactionalWorker
from service.selfinstruct.tasks import InstanceReason
from tests.conftest import OpenBroker
from tests.fakes.brokers import Breakage, BreakingBroker
from tests.support import examples
from tests.support.logs import (
    RUN,
    Committing,
    committed,
    create,
    dead_letters,
    drained_after,
    end,
    follow,
    read,
    send,
    work_off,
    write,
)

pytestmark = pytest.mark.anyio


def finishing(broker: Broker, target: int) -> TransactionalWorker[TaskInstances]:
    return TransactionalWorker(Finish(RUN, lambda: target), broker, RUN)


async def finished(broker: Broker) -> list[tuple[int, str]]:
    return sorted((task.task_seq, task.id) for task in await read(broker, topics.TASKS))


async def targets_reached(broker: Broker) -> list[int]:
    ended = [message for message in await read(broker, topics.CONTROL) if isinstance(message, RunEnded)]
    assert all(message.ending is Ending.TARGET_REACHED for message in ended)
    return [message.target for message in ended]


async def test_it_stops_mid_batch_and_resumes_there_at_a_raised_target(
    open_broker: OpenBroker,
) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=2)
        await send(broker, *map(examples.task_instances, "abcde"))
        await work_off(finishing(broker, 2))
        assert await finished(broker) == [(0, "a"), (1, "b")]
        assert await targets_reached(broker) == [2]
        assert await committed(broker, "finish", topics.INSTANCES) == 2
    async with open_broker() as broker:
        await work_off(finishing(broker, 4))
        assert await finished(broker) == [(0, "a"), (1, "b"), (2, "c"), (3, "d")]
        assert await targets_reached(broker) == [2, 4]


async def test_at_its_target_it_reads_nothing(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *map(examples.task_instances, "ab"))
        for _ in range(2):
            await work_off(finishing(broker, 1))
        assert await finished(broker) == [(0, "a")]
        assert await targets_reached(broker) == [1]
        assert await committed(broker, "finish", topics.INSTANCES) == 1


async def test_a_target_raised_while_it_runs_is_worked_for_at_once(open_broker: OpenBroker) -> None:
    targets = [1]
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *map(examples.task_instances, "abc"))
        async with drained_after(Committing(TransactionalWorker(Finish(RUN, lambda: targets[-1]), broker, RUN))):
            await follow(broker, topics.TASKS, 1)
            targets.append(3)
            await follow(broker, topics.TASKS, 3)
        assert await targets_reached(broker) == [1, 3]


async def test_repeats_and_rejected_are_passed_over_across_restarts(open_broker: OpenBroker) -> None:
    rejected = examples.task_instances("x", InstanceReason.NONE_PARSED)
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.task_instances("a"), rejected, examples.task_instances("a"))
        await work_off(finishing(broker, 10))
    async with open_broker() as broker:
        await send(broker, examples.task_instances("a"), rejected, examples.task_instances("b"))
        await work_off(finishing(broker, 10))
        assert await finished(broker) == [(0, "a"), (1, "b")]
        assert await committed(broker, "finish", topics.INSTANCES) == await end(broker, topics.INSTANCES)


@pytest.mark.parametrize("breakage", [Breakage.BEFORE, Breakage.AFTER])
async def test_the_last_task_and_the_end_of_the_run_are_one(open_broker: OpenBroker, breakage: Breakage) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *map(examples.task_instances, "abc"))
        with pytest.raises(BrokerError):
            await work_off(finishing(BreakingBroker(broker, breakage), 2))
        assert bool(await finished(broker)) == bool(await targets_reached(broker)) == (breakage is Breakage.AFTER)
        await work_off(finishing(broker, 2))
        assert await finished(broker) == [(0, "a"), (1, "b")]
        assert await targets_reached(broker) == [2]


async def test_poison_around_a_stop_is_put_aside_once(open_broker: OpenBroker) -> None:
    poison = structs.replace(codec.encode(examples.task_instances("x"), RUN), value=b"null")
    async with open_broker() as broker:
        await create(broker)
        for name in "abc":
            await write(broker, poison)
            await send(broker, examples.task_instances(name))
        for target in (1, 2, 2, 3):
            await work_off(finishing(broker, target))
            assert len(await finished(broker)) == target
        letters = await dead_letters(broker, topics.INSTANCES)
        assert [header(letter.headers, "__seedstream.errors.offset") for letter in letters] == ["0", "2", "4"]


class Inflating(Finish):
    """A finisher that makes the task `large` too large for a record."""

    async def __call__(self, batch: Sequence[TaskInstances]) -> Outcome:
        outcome = await super().__call__(batch)
        return replace(outcome, results=[(place, _inflated(message)) for place, message in outcome.results])


def _inflated(message: Message) -> Message:
    if isinstance(message, FinishedTask) and message.id == "large":
        return structs.replace(message, instruction="x" * 2_000_000)
    return message


async def test_only_a_record_with_oversized_results_is_a_dead_letter(
    open_broker: OpenBroker,
) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *map(examples.task_instances, ("a", "b", "large", "c")))
        await work_off(TransactionalWorker(Inflating(RUN, lambda: 3), broker, RUN))
        assert await finished(broker) == [(0, "a"), (1, "b"), (2, "c")]
        assert await targets_reached(broker) == [3]
        (letter,) = await dead_letters(broker, topics.INSTANCES)
        assert letter.key == b"large"
        assert header(letter.headers, "__seedstream.errors.exception.class.name") == "RecordTooLargeError"
        assert await committed(broker, "finish", topics.INSTANCES) == await end(broker, topics.INSTANCES)
