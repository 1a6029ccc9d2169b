"""Work that stands still: for how long, and which role it waits for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from structlog.testing import capture_logs

from service.messaging import topics
from service.messaging.broker import Broker, Committed, Partition
from service.messaging.messages import Message, RunEnded
from service.messaging.rights import Account, Resource, rights_of
from service.messaging.topics import Topic
from service.pipeline.role import Role
from service.pipeline.stall import Stall, StallWatch, read_waiting
from service.run.control import RunControl
from tests.conftest import OpenBroker
from tests.fakes.guarded_brokers import GuardedBroker
from tests.support import examples
from tests.support.logs import RUN, create, end, send, until

pytestmark = pytest.mark.anyio


async def finish_all(broker: Broker, role: Role, topic: Topic[Message]) -> None:
    """Commit the ends of a role's source."""
    numbers = range(await broker.partitions(topic.of(RUN)))
    ends = {Partition(topic.of(RUN), number): Committed(await end(broker, topic, number)) for number in numbers}
    async with broker.transactional_producer(f"seedstream.{RUN}.{role}") as producer:
        await producer.begin()
        await producer.send_offsets(f"seedstream.{RUN}.{role}", ends)
        await producer.commit()


@asynccontextmanager
async def watched(broker: Broker) -> AsyncIterator[StallWatch]:
    control, watch = RunControl(broker, RUN), StallWatch(broker, RUN, look_every_s=0.01)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(control.follow)
        tasks.start_soon(watch.follow, control)
        yield watch
        tasks.cancel_scope.cancel()


async def test_records_wait_for_the_roles_that_have_not_finished_them(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=3)
        assert await read_waiting(broker, RUN) == {Role.PRODUCER: 0}
        await send(broker, *(examples.prompt(seq) for seq in range(4)), examples.answer(0), examples.answer(1))
        await send(broker, examples.instruction("m1"), examples.task_instances("m2"))
        everything = {Role.GENERATE: 4, Role.ADMIT: 2, Role.CLASSIFY: 1, Role.FINISH: 1}
        assert await read_waiting(broker, RUN) == everything
        await finish_all(broker, Role.GENERATE, topics.PROMPTS)
        await finish_all(broker, Role.FINISH, topics.INSTANCES)
        assert await read_waiting(broker, RUN) == {Role.ADMIT: 2, Role.CLASSIFY: 1}


async def test_open_work_that_does_not_move_is_a_stall(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=3)
        await send(broker, examples.prompt(0), examples.prompt(1))
        async with watched(broker) as watch:
            await send(broker, examples.definition(0), examples.goal(5))
            await until(broker, lambda: watch.stall.seconds > 0.05)
            assert watch.stall.waiting == {Role.GENERATE: 2}
            before_s = watch.stall.seconds
            await send(broker, examples.answer(0))
            await until(broker, lambda: watch.stall.seconds < before_s)
            await until(broker, lambda: watch.stall.waiting == {Role.GENERATE: 2, Role.ADMIT: 1})
            await send(broker, RunEnded.target_reached(RUN, 5))
            await until(broker, lambda: watch.stall == Stall())


async def test_a_run_without_a_goal_does_not_stall(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with watched(broker) as watch:
            await send(broker, examples.definition(0), examples.prompt(0))
            with anyio.move_on_after(0.1):
                await until(broker, lambda: watch.stall != Stall())
            assert watch.stall == Stall()


async def test_a_watch_that_may_not_look_ends_no_work(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        rights = rights_of(Account.GENERATE, RUN)
        few = [right for right in rights if right.resource is not Resource.GROUP]
        guarded = GuardedBroker(broker, few, set())
        with capture_logs() as logs:
            async with watched(guarded) as watch:
                await send(broker, examples.definition(0), examples.goal(5), examples.prompt(0))
                for _ in range(2):
                    await until(broker, lambda: not watch.is_known)
                    guarded.rights = rights
                    await until(broker, lambda: watch.is_known and watch.stall.waiting != {})
                    guarded.rights = few
        assert [each["error"] for each in logs if each["event"] == "stall.unknown"] == [
            f"Describe on group seedstream.{RUN}.generate is denied"
        ]
