"""A paused run: no call begins until it is resumed, in a fleet and in a single process."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest
from msgspec.structs import replace

from service.bootstrap.open_models import open_models
from service.lm.dispatch import Patience
from service.messaging import topics
from service.messaging.broker import Broker
from service.messaging.messages import GoalSet, Message
from service.pipeline.fleet_leases import fleet_limits
from service.pipeline.limits import Limits
from service.pipeline.role import Role
from service.pipeline.roles import RoleRunner
from service.pipeline.single_process import Pipeline
from service.run.create import define_run
from service.run.definition import AskedRun
from service.selfinstruct.steps import Step
from service.settings import load_settings
from tests.conftest import OpenBroker
from tests.support.logs import DEADLINE_S, RUN, create, follow, read, send, stays_at, until

pytestmark = pytest.mark.anyio

SETTINGS = load_settings({"lm": "simulator", "run": RUN})
DEFINED = AskedRun(SETTINGS).new
LIMITS = Limits(calls_in_flight=4, patience=50, drain_s=5.0)
FAR = GoalSet(run=RUN, target=100_000)
PAUSED = replace(FAR, paused=True)


async def finished(broker: Broker) -> int:
    return len(await read(broker, topics.TASKS))


async def until_nothing_is_answered(broker: Broker) -> None:
    """Wait until no answer is written for a while."""
    with anyio.fail_after(DEADLINE_S):
        while not await stays_at(broker, topics.CANDIDATES, len(await read(broker, topics.CANDIDATES))):
            pass


@asynccontextmanager
async def fleet(broker: Broker) -> AsyncIterator[list[RoleRunner]]:
    """Run two processes with all roles."""
    async with AsyncExitStack() as stack:
        models = [await stack.enter_async_context(open_models(SETTINGS, Patience(), tuple(Step))) for _ in range(2)]
        runners = [RoleRunner(broker, RUN, tuple(Role), each, LIMITS) for each in models]
        with anyio.fail_after(3 * DEADLINE_S):
            async with anyio.create_task_group() as tasks:
                for runner in runners:
                    tasks.start_soon(runner.run)
                yield runners
                for runner in runners:
                    runner.stop()


def in_flight(runners: list[RoleRunner]) -> int:
    return sum(dispatcher.slots.in_use for each in runners for dispatcher in each.worked.each_dispatcher)


async def test_a_run_that_begins_paused_asks_nothing(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=3)
        async with fleet(broker) as runners:
            await define_run(broker, DEFINED.definition, replace(PAUSED, target=5), DEFINED.seeds)
            await until(broker, lambda: all(each.control.goal is not None for each in runners))
            assert await stays_at(broker, topics.PROMPTS, 0)
            await send(broker, replace(FAR, target=5))
            await follow(broker, topics.CONTROL, 4)
            assert await finished(broker) == 5


async def test_a_fleet_pauses_and_goes_on_to_its_target(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=3)
        async with fleet(broker) as runners:
            await define_run(broker, DEFINED.definition, FAR, DEFINED.seeds)
            await follow(broker, topics.TASKS, 5)
            await send(broker, PAUSED)
            await until(broker, lambda: all(each.control.at_rest for each in runners) and not in_flight(runners))
            await until_nothing_is_answered(broker)
            target = await finished(broker) + 20
            await send(broker, replace(FAR, target=target))
            await follow(broker, topics.CONTROL, 5)
            assert await finished(broker) == target


async def test_a_single_process_pauses_and_goes_on(open_broker: OpenBroker) -> None:
    async with open_broker() as broker, open_models(SETTINGS, Patience(), tuple(Step)) as models:
        await create(broker)
        await define_run(broker, DEFINED.definition, FAR, DEFINED.seeds)
        pipeline = Pipeline(broker, DEFINED.definition, models, LIMITS)

        async def ignore(_: Message) -> None:
            pass

        with anyio.fail_after(3 * DEADLINE_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(pipeline.run, ignore)
                await follow(broker, topics.TASKS, 5)
                await send(broker, PAUSED)
                slots = [each.dispatcher.slots for each in models.each]
                await until(broker, lambda: pipeline.progress.paused and not any(each.in_use for each in slots))
                await until_nothing_is_answered(broker)
                target = await finished(broker) + 20
                await send(broker, replace(FAR, target=target))
        assert await finished(broker) == target


def test_a_paused_run_allows_no_call_whatever_its_limits() -> None:
    assert fleet_limits(replace(PAUSED, max_in_flight=8, rpm=60.0)).max_in_flight == 0
    assert fleet_limits(FAR).max_in_flight is None
