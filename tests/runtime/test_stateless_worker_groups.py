"""Several workers of one stage share its partitions, and take over from each other."""

import anyio
import pytest

from consumers.generate import Generate
from service.lm.concurrency import Slots
from service.messaging import topics
from service.messaging.broker import Broker
from service.messaging.messages import Prompt
from service.runtime.session import TimeLimits
from service.runtime.stateless_worker import StatelessWorker
from service.selfinstruct.recipe import SELF_INSTRUCT
from tests.conftest import OpenBroker
from tests.fakes.brokers import Breakage, BreakingBroker
from tests.fakes.models import Hold, ScriptedModel, always, by_marker
from tests.support import examples
from tests.support.logs import (
    DEADLINE_S,
    RUN,
    committed,
    create,
    drained_after,
    end,
    follow,
    killed_after,
    read,
    send,
    until,
)

pytestmark = pytest.mark.anyio


def generating(
    broker: Broker, model: ScriptedModel, slots: int = 8, drain_s: float = DEADLINE_S
) -> StatelessWorker[Prompt]:
    return StatelessWorker(
        Generate(model, SELF_INSTRUCT), broker, RUN, Slots(slots), TimeLimits(drain_s, call_s=0.0, margin_s=0.1)
    )


async def test_a_newcomer_gets_its_share_and_all_calls_in_flight_go_on(open_broker: OpenBroker) -> None:
    hold = Hold()
    first, second = ScriptedModel(always(hold)), ScriptedModel(always("x"))
    async with open_broker() as broker:
        await create(broker, partitions=2)
        for number in range(2):
            await send(broker, examples.prompt(number), partition=number)
        async with drained_after(generating(broker, first)):
            await first.until_asked(2)
            async with drained_after(generating(broker, second)):
                for number in range(2):
                    await send(broker, examples.prompt(number + 2), partition=number)
                await second.until_asked(1)
                assert first.in_flight >= 2
                hold.release()
                await follow(broker, topics.CANDIDATES, 4)
        assert sorted(first.asked + second.asked) == ["<p0>", "<p1>", "<p2>", "<p3>"]
        assert set(second.asked) <= {"<p2>", "<p3>"}
        answers = sorted(answer.key for answer in await read(broker, topics.CANDIDATES))
        assert answers == ["p0", "p1", "p2", "p3"]
        for number in range(2):
            assert await committed(broker, "generate", topics.PROMPTS, number) == await end(
                broker, topics.PROMPTS, number
            )


async def test_only_unfinished_calls_of_a_leaver_are_taken_over(open_broker: OpenBroker) -> None:
    leaver = ScriptedModel(by_marker({"<p1>": Hold(), "<p2>": Hold()}))
    stayer = ScriptedModel(always("x"))
    async with open_broker() as broker:
        await create(broker, partitions=2)
        for number in range(4):
            await send(broker, examples.prompt(number), partition=number % 2)
        staying = anyio.Event()
        with anyio.fail_after(DEADLINE_S):
            async with anyio.create_task_group() as tasks:
                async with drained_after(generating(broker, leaver, drain_s=0)):
                    await follow(broker, topics.CANDIDATES, 2)
                    tasks.start_soon(generating(broker, stayer).run, staying)
                    await stayer.until_asked(1)
                    assert leaver.in_flight == 1
                await follow(broker, topics.CANDIDATES, 4)
                staying.set()
        assert sorted(leaver.asked) == ["<p0>", "<p1>", "<p2>", "<p3>"]
        assert sorted(stayer.asked) == ["<p1>", "<p2>"]


async def test_all_prompts_are_answered_as_workers_join_drain_and_die(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=3)
        models = [ScriptedModel(always("x")) for _ in range(3)]
        async with killed_after(generating(broker, models[0])):
            await send(broker, *map(examples.prompt, range(20)))
            async with drained_after(generating(broker, models[1])):
                await send(broker, *map(examples.prompt, range(20, 40)))
            async with killed_after(generating(broker, models[2])):
                await send(broker, *map(examples.prompt, range(40, 60)))
                await follow(broker, topics.CANDIDATES, 60)
        answers = {answer.key for answer in await read(broker, topics.CANDIDATES)}
        assert answers == {f"p{seq}" for seq in range(60)}


async def test_a_worker_without_a_free_slot_still_gives_up_partitions(open_broker: OpenBroker) -> None:
    hold = Hold()
    full, newcomer = ScriptedModel(always(hold)), ScriptedModel(always("x"))
    async with open_broker() as broker:
        await create(broker, partitions=2)
        async with killed_after(generating(broker, full, slots=1)):
            await send(broker, examples.prompt(0), partition=0)
            await full.until_asked(1)
            await send(broker, examples.prompt(1), partition=1)
            async with killed_after(generating(broker, newcomer)):
                await follow(broker, topics.CANDIDATES, 1)
                await anyio.wait_all_tasks_blocked()
                hold.release()
                await follow(broker, topics.CANDIDATES, 2)
        assert full.asked + newcomer.asked == ["<p0>", "<p1>"]


async def test_a_commit_that_was_refused_is_made_up_for_at_the_next(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.prompt(0))
        breaking = BreakingBroker(broker, Breakage.GROUP)
        async with drained_after(generating(breaking, ScriptedModel(always("x")))):
            await follow(broker, topics.CANDIDATES, 1)
            async with drained_after(generating(broker, ScriptedModel(always("x")))):
                await until(broker, lambda: breaking.breakage is not Breakage.GROUP)
        assert await committed(broker, "generate", topics.PROMPTS) == 1
