"""The budget of the prompt producer, which reads the costs of calls if the goal has a limit in dollars."""

import anyio
import pytest
from msgspec import structs

from producers.prompts import PromptProducer
from service.messaging import topics
from service.messaging.broker import Broker
from service.messaging.messages import Ending, GoalSet, Message, RunEnded
from service.selfinstruct.tasks import Reason
from tests.billing.test_bill import answer, classified, decision, written
from tests.conftest import OpenBroker
from tests.support import examples
from tests.support.logs import DEADLINE_S, RUN, follow, killed_after, read, send, stays_at
from tests.support.seeded import run_with

pytestmark = pytest.mark.anyio


def goal(budget_usd: float | None) -> GoalSet:
    return GoalSet(run=RUN, target=1_000, budget_usd=budget_usd)


def bought(seq: int, number: int) -> list[Message]:
    """Return the messages of a prompt with one finished task, for one dollar and twice half a dollar."""
    name = f"p{seq}.0"
    return [
        answer(seq, 1.0),
        examples.pooled(number),
        decision(seq, None),
        structs.replace(classified(number, 0.5), id=name),
        structs.replace(written(number, cost_usd=0.5), id=name),
        structs.replace(examples.finished(number), id=name),
    ]


async def ended(broker: Broker) -> RunEnded:
    with anyio.fail_after(DEADLINE_S):
        end = await PromptProducer(broker, RUN, 3, 100).run(anyio.Event())
    assert end is not None
    return end


async def test_a_budget_that_is_spent_buys_nothing(open_broker: OpenBroker) -> None:
    async with run_with(open_broker, examples.prompt(0), *bought(0, 10), goal=goal(2.0)) as broker:
        end = await ended(broker)
        assert (end.ending, end.finished) == (Ending.BUDGET_SPENT, 1)
        assert end.detail.startswith("$2 of the budget of $2 is spent")
        assert len(await read(broker, topics.PROMPTS)) == 1


async def test_a_raised_budget_wakes_the_run(open_broker: OpenBroker) -> None:
    async with run_with(open_broker, examples.prompt(0), *bought(0, 10), goal=goal(2.0)) as broker:
        await ended(broker)
        await send(broker, goal(100.0))
        async with killed_after(PromptProducer(broker, RUN, 3, 100)):
            assert len(await follow(broker, topics.PROMPTS, 4)) == 4


async def test_a_budget_set_during_a_run_counts_earlier_costs(open_broker: OpenBroker) -> None:
    seen = [examples.prompt(0), *bought(0, 10)]
    async with run_with(open_broker, *seen, goal=goal(None)) as broker, anyio.create_task_group() as tasks:

        async def limit() -> None:
            await follow(broker, topics.PROMPTS, 4)
            await send(broker, goal(2.0))

        tasks.start_soon(limit)
        end = await ended(broker)
        assert (end.ending, "$2 of" in end.detail) == (Ending.BUDGET_SPENT, True)


async def test_the_run_ends_when_its_last_affordable_task_is_finished(
    open_broker: OpenBroker,
) -> None:
    async with run_with(open_broker, goal=goal(20.0)) as broker, anyio.create_task_group() as tasks:

        async def buy() -> None:
            for seq in range(10):
                await follow(broker, topics.PROMPTS, seq + 1)
                await send(broker, *bought(seq, 10 + seq))

        tasks.start_soon(buy)
        end = await ended(broker)
        tasks.cancel_scope.cancel()
        prompts = await read(broker, topics.PROMPTS)
        assert end.ending is Ending.BUDGET_SPENT
        assert end.finished == len(prompts) in (8, 9, 10)


async def test_a_budget_ends_a_run_at_the_first_call_without_a_price(open_broker: OpenBroker) -> None:
    async with run_with(open_broker, goal=goal(20.0)) as broker, anyio.create_task_group() as tasks:

        async def answer_without_price() -> None:
            await follow(broker, topics.PROMPTS, 3)
            call = structs.replace(examples.CALL, cost_usd=None)
            await send(broker, structs.replace(examples.answer(0), call=call), decision(0, Reason.TOO_SHORT))

        tasks.start_soon(answer_without_price)
        end = await ended(broker)
        assert (end.ending, "[prices]" in end.detail) == (Ending.PRICE_UNKNOWN, True)


async def test_without_a_limit_in_dollars_calls_need_no_price(open_broker: OpenBroker) -> None:
    call = structs.replace(examples.CALL, cost_usd=None)
    unpriced = structs.replace(examples.answer(0), call=call)
    async with (
        run_with(open_broker, examples.prompt(0), unpriced, decision(0, Reason.TOO_SHORT), goal=goal(None)) as broker,
        killed_after(PromptProducer(broker, RUN, 3, 100)),
    ):
        assert await stays_at(broker, topics.PROMPTS, 4)
