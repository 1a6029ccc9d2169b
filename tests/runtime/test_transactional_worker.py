"""The filter runs exactly once. Its memory is the log."""

import random
from collections.abc import Sequence
from itertools import count

import anyio
import pytest
from msgspec.structs import replace

from consumers.admit import Admit
from service.errors import BrokerError, DecodeError, FencedError, NewerVersionError, OutcomeUnknownError
from service.messaging import codec, topics
from service.messaging.broker import Broker, NewRecord
from service.messaging.codec import CAUSE, header
from service.messaging.messages import Decision, Instruction, Message, PooledTask
from service.messaging.topics import Topic
from service.pool.batch import Input
from service.runtime.transactional_worker import TransactionalWorker
from service.selfinstruct.recipe import SELF_INSTRUCT
from tests.conftest import OpenBroker
from tests.fakes.brokers import Breakage, BreakingBroker
from tests.support import examples
from tests.support.logs import (
    DEADLINE_S,
    RUN,
    Committing,
    committed,
    create,
    dead_letters,
    drained_after,
    end,
    follow,
    read,
    records_of,
    send,
    work_off,
    write,
)
from tests.support.newer import by_newer

pytestmark = pytest.mark.anyio

RIVERS = "Name three rivers that flow through Europe"
SUM = "Add all the numbers from one to ten"
GROUP = f"seedstream.{RUN}.admit"


KINDS = (PooledTask, Decision, Instruction)


async def outcomes(broker: Broker) -> list[list[Message]]:
    return [list(await read(broker, topic)) for topic in (topics.POOL, topics.DECISIONS, topics.INSTRUCTIONS)]


def admitting(broker: Broker) -> TransactionalWorker[Input]:
    return TransactionalWorker(Admit(SELF_INSTRUCT), broker, RUN)


async def one_by_one(stream: Sequence[Input]) -> list[list[Message]]:
    """Return the results of an instance that never stops and takes one message at a time."""
    admit = Admit(SELF_INSTRUCT)
    results: list[Message] = []
    for message in stream:
        news = [result for _, result in (await admit([message])).results]
        for result in news:
            admit.restore(result)
        results += news
    return [[message for message in results if isinstance(message, kind)] for kind in KINDS]


def random_stream(rng: random.Random) -> list[Input]:
    """Return inputs with repetitions. Their vocabulary is small, and many of them are alike."""
    words = ["alpha", "beta", "gamma", "delta", "river", "mountain", "letter", "number", "name", "write"]
    prompts, seeds = count(), count()

    def one() -> Input:
        texts = [" ".join(rng.choices(words, k=rng.randrange(2, 7))).capitalize() for _ in range(rng.randrange(1, 4))]
        match rng.randrange(5):
            case 0:
                return examples.seed(next(seeds), texts[0])
            case 1:
                return examples.failed(next(prompts))
            case _:
                return examples.answer(next(prompts), *texts)

    stream = [one() for _ in range(30)]
    return stream + rng.sample(stream, 8)


async def test_results_and_how_far_the_input_is_read_appear_together(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.seed(0), examples.answer(0, RIVERS))
        with pytest.raises(BrokerError, match="before the commit"):
            await work_off(admitting(BreakingBroker(broker, Breakage.BEFORE)))
        assert await outcomes(broker) == [[], [], []]
        assert await committed(broker, "admit", topics.CANDIDATES) is None
        await work_off(admitting(broker))
        pool, decisions, work = await outcomes(broker)
        assert ([message.key for message in pool], len(decisions), len(work)) == (["s0", "p0.0"], 1, 1)
        assert await committed(broker, "admit", topics.CANDIDATES) == await end(broker, topics.CANDIDATES)


async def test_a_commit_that_broke_leaves_the_memory_as_it_was(open_broker: OpenBroker) -> None:
    batch: list[Input] = [examples.seed(0), examples.answer(0, RIVERS)]
    admit = Admit(SELF_INSTRUCT)
    before = await admit(batch)
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *batch)
        with pytest.raises(BrokerError):
            await work_off(TransactionalWorker(admit, BreakingBroker(broker, Breakage.BEFORE), RUN))
    assert await admit(batch) == before


async def test_the_next_worker_learns_an_unknown_commit_outcome(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.seed(0), examples.answer(0, RIVERS))
        with pytest.raises(OutcomeUnknownError):
            await work_off(admitting(BreakingBroker(broker, Breakage.AFTER)))
        await send(broker, examples.answer(0, RIVERS), examples.answer(1, SUM))
        await work_off(admitting(broker))
        pool, decisions, _ = await outcomes(broker)
        assert [message.key for message in pool] == ["s0", "p0.0", "p1.0"]
        assert [message.key for message in decisions] == ["p0", "p1"]


@pytest.mark.parametrize("seed", range(3))
async def test_restarts_and_crashes_change_no_verdict(open_broker: OpenBroker, seed: int) -> None:
    rng = random.Random(seed)
    stream = random_stream(rng)
    expected = await one_by_one(stream)
    async with open_broker() as broker:
        await create(broker)
    place = 0
    while place < len(stream):
        async with open_broker() as broker:
            upto = place + rng.randrange(1, 12)
            await send(broker, *stream[place:upto])
            place = upto
            if rng.random() < 0.4:
                with pytest.raises(BrokerError):
                    await work_off(admitting(BreakingBroker(broker, rng.choice([Breakage.BEFORE, Breakage.AFTER]))))
            await work_off(admitting(broker))
    async with open_broker() as broker:
        assert await outcomes(broker) == expected


async def test_one_that_was_fenced_writes_nothing_and_ends(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        ready = anyio.Event()

        async def take_over() -> None:
            await ready.wait()
            async with broker.transactional_producer(GROUP):
                await send(broker, examples.answer(0, RIVERS))

        with anyio.fail_after(DEADLINE_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(take_over)
                with pytest.raises(FencedError):
                    await admitting(broker).run(anyio.Event(), ready)
        assert await outcomes(broker) == [[], [], []]


async def test_what_one_left_open_is_gone_when_the_next_starts(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.answer(0, RIVERS))
        async with broker.transactional_producer(GROUP) as zombie:
            await zombie.begin()
            await zombie.send([codec.encode(examples.pooled(0), RUN)])
            await work_off(admitting(broker))
            with pytest.raises(FencedError):
                await zombie.commit()
        assert [task.id for task in await read(broker, topics.POOL)] == ["p0.0"]


async def test_poison_among_good_records_goes_to_the_dead_letters(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.seed(0))
        poison = replace(codec.encode(examples.answer(7), RUN), value=b'{"prompt_id": 7}')
        await write(broker, poison)
        await send(broker, examples.answer(0, RIVERS))
        await write(broker, replace(poison, value=None))
        await work_off(admitting(broker))
        letters = await dead_letters(broker, topics.CANDIDATES)
        assert [(letter.key, letter.value) for letter in letters] == [(b"p7", b'{"prompt_id": 7}'), (b"p7", None)]
        assert all(letter.headers[: len(poison.headers)] == poison.headers for letter in letters)
        pool, decisions, _ = await outcomes(broker)
        assert ([message.key for message in pool], len(decisions)) == (["s0", "p0.0"], 1)
        sources = [header(record.headers, CAUSE) for record in await records_of(broker, topics.DECISIONS.of(RUN))]
        assert sources == [f"{topics.CANDIDATES.of(RUN)}/0/2"]
        assert await committed(broker, "admit", topics.CANDIDATES) == await end(broker, topics.CANDIDATES)


async def test_nothing_but_poison_is_passed_too(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await write(broker, replace(codec.encode(examples.answer(7), RUN), value=b"[]"))
        await work_off(admitting(broker))
        assert len(await dead_letters(broker, topics.CANDIDATES)) == 1
        await work_off(admitting(broker))
        assert len(await dead_letters(broker, topics.CANDIDATES)) == 1


async def test_a_hole_in_the_pool_on_the_log_stops_it_before_it_judges(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.pooled_seed(1))
        await send(broker, examples.answer(0, RIVERS))
        ready = anyio.Event()
        with pytest.raises(BrokerError, match="hole"), anyio.fail_after(DEADLINE_S):
            await admitting(broker).run(anyio.Event(), ready)
        assert not ready.is_set()
        assert await read(broker, topics.DECISIONS) == []


async def test_it_follows_its_input_until_it_is_drained(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        async with drained_after(Committing(admitting(broker))) as drain:
            await send(broker, examples.answer(0, RIVERS))
            assert len(await follow(broker, topics.DECISIONS, 1)) == 1
            await send(broker, examples.answer(1, SUM))
            drain.set()
        decided = await read(broker, topics.DECISIONS)
        assert [(decision.key, decision.accepted) for decision in decided if isinstance(decision, Decision)] == [
            ("p0", 1),
            ("p1", 1),
        ]


async def test_a_foreign_record_in_its_memory_is_passed_over(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.answer(0, RIVERS))
        await work_off(admitting(broker))
        for topic in (topics.POOL, topics.DECISIONS):
            await write(broker, NewRecord(topic.of(RUN), b"hello", key=b"stranger"))
        await send(broker, examples.answer(1, RIVERS, SUM))
        await work_off(admitting(broker))
        assert [task.instruction for task in await readable(broker, topics.POOL)] == [RIVERS, SUM]


async def test_a_newer_record_in_its_memory_stops_it_with_a_reason(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        newer = (("ce_type", b"io.seedstream.pooled-task.v2"),)
        await write(broker, NewRecord(topics.POOL.of(RUN), b"{}", key=b"p0.0", headers=newer))
        with pytest.raises(DecodeError, match="newer Seedstream"):
            await work_off(admitting(broker))


async def readable(broker: Broker, topic: Topic[PooledTask]) -> list[PooledTask]:
    """Return the messages of a topic, without the foreign records in it."""
    return [codec.decode(topic, record) for record in await records_of(broker, topic.of(RUN)) if codec.is_ours(record)]


async def test_an_input_of_a_newer_version_is_left_to_that(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.answer(0, RIVERS))
        await work_off(admitting(broker))
        await write(broker, by_newer(topics.CANDIDATES))
        await send(broker, examples.answer(1, SUM))
        with pytest.raises(NewerVersionError, match="upgrade this process"):
            await work_off(admitting(broker))
        assert await dead_letters(broker, topics.CANDIDATES) == []
        assert await committed(broker, "admit", topics.CANDIDATES) == 1
        assert len(await read(broker, topics.DECISIONS)) == 1
