from collections.abc import Sequence

import anyio
import pytest

from consumers.classify import Classify
from consumers.generate import Generate
from service.errors import TopicMissingError
from service.lm.concurrency import Slots
from service.messaging import codec, topics
from service.messaging.broker import Broker
from service.messaging.codec import CAUSE, header
from service.messaging.messages import Message, Prompt
from service.runtime.session import TimeLimits
from service.runtime.stateless_worker import StatelessWorker
from service.selfinstruct.recipe import SELF_INSTRUCT, Sampling
from tests.conftest import OpenBroker
from tests.fakes.brokers import Breakage
from tests.fakes.models import Hold, ScriptedModel, always, by_marker
from tests.fakes.stalled_broker import UnwritableBroker
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
    records_of,
    send,
    until_committed,
)

pytestmark = pytest.mark.anyio

SAMPLING = Sampling(0.0, 0.0, 3, ())


def generating(
    broker: Broker, model: ScriptedModel, slots: int = 8, drain_s: float = DEADLINE_S
) -> StatelessWorker[Prompt]:
    return StatelessWorker(Generate(model, SELF_INSTRUCT), broker, RUN, Slots(slots), TimeLimits(drain_s))


def keys(messages: Sequence[Message]) -> list[str]:
    return [message.key for message in messages]


async def test_results_are_in_finishing_order_and_name_their_cause(open_broker: OpenBroker) -> None:
    slow = Hold()
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.prompt(0), examples.prompt(1))
        async with killed_after(generating(broker, ScriptedModel(by_marker({"<p0>": slow})))):
            await follow(broker, topics.CANDIDATES, 1)
            slow.release()
            await follow(broker, topics.CANDIDATES, 2)
        records = await records_of(broker, topics.CANDIDATES.of(RUN))
        source = topics.PROMPTS.of(RUN)
        assert [header(record.headers, CAUSE) for record in records] == [f"{source}/0/1", f"{source}/0/0"]


async def test_what_is_committed_never_passes_a_call_in_flight(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *map(examples.prompt, range(4)))
        model = ScriptedModel(by_marker({"<p1>": Hold()}))
        async with drained_after(generating(broker, model, drain_s=0)):
            await follow(broker, topics.CANDIDATES, 3)
        assert await committed(broker, "generate", topics.PROMPTS) == 1


async def test_progress_is_committed_while_it_works(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *map(examples.prompt, range(2)))
        async with killed_after(generating(broker, ScriptedModel(always("x")))):
            await until_committed(broker, "generate", topics.PROMPTS, 2)


async def test_after_a_kill_only_the_unanswered_is_asked_again(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *map(examples.prompt, range(5)))
        killed = ScriptedModel(by_marker({"<p0>": Hold(), "<p3>": Hold()}))
        async with killed_after(generating(broker, killed)):
            await follow(broker, topics.CANDIDATES, 3)
        assert await committed(broker, "generate", topics.PROMPTS) is None
    async with open_broker() as broker:
        next_owner = ScriptedModel(always("x"))
        async with drained_after(generating(broker, next_owner)):
            await follow(broker, topics.CANDIDATES, 5)
        assert sorted(next_owner.asked) == ["<p0>", "<p3>"]
        assert sorted(keys(await read(broker, topics.CANDIDATES))) == ["p0", "p1", "p2", "p3", "p4"]
        assert await committed(broker, "generate", topics.PROMPTS) == await end(broker, topics.PROMPTS)


async def test_a_drain_takes_nothing_new_and_records_what_is_in_flight(open_broker: OpenBroker) -> None:
    slow = Hold()
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *map(examples.prompt, range(3)))
        model = ScriptedModel(always(slow))
        async with drained_after(generating(broker, model, slots=1)) as drain:
            await model.until_asked(1)
            drain.set()
            await anyio.wait_all_tasks_blocked()
            slow.release()
        assert model.asked == ["<p0>"]
        assert keys(await read(broker, topics.CANDIDATES)) == ["p0"]
        assert await committed(broker, "generate", topics.PROMPTS) == 1


async def test_an_idle_worker_commits_past_transaction_markers(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with broker.transactional_producer("t") as producer:
            await producer.begin()
            await producer.send([codec.encode(examples.prompt(0), RUN)])
            await producer.commit()
        async with drained_after(generating(broker, ScriptedModel(always("x")))):
            await follow(broker, topics.CANDIDATES, 1)
        assert await committed(broker, "generate", topics.PROMPTS) == await end(broker, topics.PROMPTS) == 2


async def test_a_call_cancelled_by_a_drain_is_asked_by_the_next_owner(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *map(examples.prompt, range(2)))
        model = ScriptedModel(by_marker({"<p1>": Hold()}))
        async with drained_after(generating(broker, model, drain_s=0.05)):
            await follow(broker, topics.CANDIDATES, 1)
        assert model.in_flight == 0
        next_owner = ScriptedModel(always("x"))
        async with killed_after(generating(broker, next_owner)):
            await follow(broker, topics.CANDIDATES, 2)
        assert next_owner.asked == ["<p1>"]


async def test_a_worker_drained_before_it_starts_asks_nothing(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.prompt(0))
        model = ScriptedModel(always("x"))
        async with drained_after(generating(broker, model)) as drain:
            drain.set()
        assert model.asked == []


async def test_calls_of_all_stages_never_exceed_the_slots(open_broker: OpenBroker) -> None:
    slots = Slots(3)
    hold = Hold("Yes")
    model = ScriptedModel(always(hold))
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *map(examples.prompt, range(5)))
        await send(broker, *(examples.instruction(f"p9.{place}") for place in range(5)))
        generate = StatelessWorker(Generate(model, SELF_INSTRUCT), broker, RUN, slots, TimeLimits(DEADLINE_S))
        classify = StatelessWorker(
            Classify(model, SELF_INSTRUCT, examples.TEMPLATES, SAMPLING), broker, RUN, slots, TimeLimits(DEADLINE_S)
        )
        async with killed_after(generate, classify):
            await model.until_asked(3)
            await anyio.wait_all_tasks_blocked()
            assert model.in_flight == slots.in_use == 3
            assert generate.in_flight <= 3
            hold.release()
            await follow(broker, topics.CANDIDATES, 5)
            await follow(broker, topics.CLASSIFIED, 5)
        assert model.most_in_flight == 3
        assert slots.in_use == 0


async def test_a_kill_costs_five_quarters_of_the_slots_at_most(open_broker: OpenBroker) -> None:
    slots, limits, model = Slots(8), TimeLimits(DEADLINE_S), ScriptedModel(always("Yes"))
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *map(examples.prompt, range(30)))
        await send(broker, *(examples.instruction(f"p9.{place}") for place in range(30)))
        held = UnwritableBroker(broker, Breakage.GROUP, commits_left=1_000)
        generate = StatelessWorker(Generate(model, SELF_INSTRUCT), held, RUN, slots, limits)
        classify = StatelessWorker(
            Classify(model, SELF_INSTRUCT, examples.TEMPLATES, SAMPLING), held, RUN, slots, limits
        )
        async with killed_after(generate, classify):
            await model.until_asked(10)
            await anyio.wait_all_tasks_blocked()
            assert len(model.asked) == 10, "calls that were made, and no answer is on the log"
            held.acknowledges.set()
            await follow(broker, topics.CANDIDATES, 30)
            await follow(broker, topics.CLASSIFIED, 30)


async def test_a_worker_without_its_topics_says_which_is_missing(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        with pytest.raises(TopicMissingError, match=topics.CANDIDATES.of(RUN)):
            await generating(broker, ScriptedModel(always("x"))).run(anyio.Event())
