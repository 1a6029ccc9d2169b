"""A run with ten seeds, for tests of the prompt producer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.messaging.broker import Broker
from service.messaging.messages import GoalSet, Message
from tests.conftest import OpenBroker
from tests.support import examples
from tests.support.logs import create, send

SEEDS = [examples.pooled_seed(number) for number in range(10)]
FAR = examples.goal(1_000)


@asynccontextmanager
async def run_with(open_broker: OpenBroker, *messages: Message, goal: GoalSet = FAR) -> AsyncIterator[Broker]:
    """Open a run that has ten seeds, this goal, and these messages."""
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.definition(10), goal, *SEEDS, *messages)
        yield broker
