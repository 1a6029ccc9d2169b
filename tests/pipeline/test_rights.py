"""The table of rights: each account does its work under its own rights, and has none that it does not need."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest

from producers.replay import DeadLetterReplay
from service.bootstrap.open_models import open_models
from service.client import Subscription, Tasks
from service.lm.dispatch import Patience
from service.messaging import topics
from service.messaging.broker import Broker, NewRecord
from service.messaging.dead_letters import DEAD_LETTER_TOPICS, STAGE_INPUTS
from service.messaging.messages import GoalSet, TopicIds
from service.messaging.rights import Account, Operation, Resource, Right, rights_of
from service.messaging.topic_reader import Tail
from service.pipeline.limits import Limits
from service.pipeline.members import read_members
from service.pipeline.role import STEPS, Role
from service.pipeline.roles import RoleRunner
from service.pipeline.stages import admitting
from service.pipeline.stall import read_waiting
from service.run.create import define_run
from service.run.definition import AskedRun
from service.run.progress_reader import read_progress
from service.selfinstruct.recipe import RecipeName
from service.settings import load_settings
from tests.conftest import OpenBroker
from tests.fakes.guarded_brokers import DeniedError, GuardedBroker, covers
from tests.support import examples
from tests.support.logs import DEADLINE_S, RUN, create, follow, read, send, work_off, write

pytestmark = pytest.mark.anyio

LIMITS = Limits(calls_in_flight=4, patience=50, drain_s=5.0)
# The end of a run and dropped calls are not written by every role, hints only if a screen is ahead, and whole tasks by
# admit only with Alpaca.
OCCASIONAL = [
    Right(Resource.TOPIC, topic.of(RUN), Operation.WRITE) for topic in (topics.CONTROL, topics.HINTS, topics.INSTANCES)
]
GIVEN = {"lm": "simulator", "run": RUN, "price_prompt": 1.0, "price_completion": 1.0}
RUNS = {recipe: AskedRun(load_settings({**GIVEN, "recipe": recipe})) for recipe in RecipeName}
for asked in RUNS.values():
    _ = asked.new  # reads files, which a test on the event loop must not


def guarded(broker: Broker, account: Account) -> GuardedBroker:
    return GuardedBroker(broker, rights_of(account, RUN), set())


@asynccontextmanager
async def fleet(broker: Broker, recipe: RecipeName) -> AsyncIterator[Mapping[Account, GuardedBroker]]:
    """Run one process for each role of a run with limits for the fleet, each with the rights of its role alone."""
    asked = RUNS[recipe]
    brokers = {Account(role.value): guarded(broker, Account(role.value)) for role in Role}
    async with AsyncExitStack() as stack:
        models = {
            role: await stack.enter_async_context(open_models(asked.settings, Patience(), [step]))
            for role, step in STEPS.items()
        }
        tasks = await stack.enter_async_context(anyio.create_task_group())
        runners = [RoleRunner(brokers[Account(role.value)], RUN, [role], models.get(role), LIMITS) for role in Role]
        for runner in runners:
            tasks.start_soon(runner.run)
        definition, seeds = asked.new
        operator = brokers[Account.OPERATOR] = guarded(broker, Account.OPERATOR)
        await define_run(operator, definition, GoalSet(run=RUN, target=4, max_in_flight=9, budget_usd=1e6), seeds)
        yield brokers
        for runner in runners:
            runner.stop()


@pytest.mark.parametrize("recipe", RecipeName)
async def test_each_account_works_under_its_own_rights(open_broker: OpenBroker, recipe: RecipeName) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=2)
        await write(broker, *(NewRecord(topic.of(RUN), b"poison") for topic in STAGE_INPUTS))
        with anyio.fail_after(2 * DEADLINE_S):
            async with fleet(broker, recipe) as brokers:
                operator = brokers[Account.OPERATOR]
                await follow(broker, topics.CONTROL, 3)
                for letters in DEAD_LETTER_TOPICS if recipe is RecipeName.SELF_INSTRUCT else ():
                    async with Tail.of(operator, RUN, [letters]) as tail:
                        while not await tail.next():
                            pass
                assert await read_members(operator, RUN)
                assert (await DeadLetterReplay(operator, RUN).run()).put_back.total() > 0
        assert len(await read(broker, topics.TASKS)) == 4
        assert (await read_progress(brokers[Account.OPERATOR], RUN)).finished == 4
        await send(broker, *(TopicIds(run=RUN, ids={"instructions": each}) for each in ("old", "new")))
        await work_off(admitting(brokers[Account.ADMIT], RUNS[recipe].new[0]))
        for each in brokers.values():
            await read_waiting(each, RUN)
            unneeded = {right for right in each.rights if right not in each.used and right not in OCCASIONAL}
            if recipe is RecipeName.SELF_INSTRUCT:
                assert {right.operation for right in unneeded} == {Operation.DESCRIBE_CONFIGS}


async def test_a_reader_needs_the_tasks_alone(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.finished(0))
        reader = guarded(broker, Account.READER)
        for group in ("mine", None):
            async with Tasks.of(reader, RUN, Subscription(group=group, until_end=True)) as tasks:
                assert [task.task_seq async for task in tasks] == [0]
        with pytest.raises(DeniedError):
            await read(reader, topics.POOL)
    assert set(reader.rights) == reader.used


async def test_a_single_process_may_do_all_within_its_run(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        every = [*topics.ALL, *DEAD_LETTER_TOPICS]
        rights = rights_of(Account.SINGLE, RUN)
        for operation in (Operation.READ, Operation.WRITE, Operation.DESCRIBE):
            assert all(
                any(covers(right, Resource.TOPIC, topic.of(RUN), operation) for right in rights) for topic in every
            )
        assert not any(covers(right, Resource.TOPIC, topics.TASKS.of(f"{RUN}2"), Operation.READ) for right in rights)
        creator = guarded(broker, Account.CREATOR)
        await creator.create_topics(topics.specs(RUN, 2))


def test_every_topic_has_a_reader_and_a_writer() -> None:
    """A new topic must not be forgotten in the table."""
    roles = [account for account in Account if account is not Account.SINGLE]
    for topic in (*topics.ALL, *DEAD_LETTER_TOPICS):
        for operation in (Operation.READ, Operation.WRITE):
            right = Right(Resource.TOPIC, topic.of(RUN), operation)
            assert any(right in rights_of(account, RUN) for account in roles), right
    assert {role.value for role in Role} <= {account.value for account in Account}
