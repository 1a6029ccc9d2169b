"""Screens share the prompts and keep ahead of the filter. They save it work, and change no result."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest

from consumers.admit import Admit
from consumers.screen import Screen
from service.errors import BrokerError
from service.messaging import topics
from service.messaging.broker import Broker, NewRecord
from service.messaging.messages import Message
from service.pool.hint_reader import follow_hints
from service.pool.hints import Hints, Use, WrongHint
from service.pool.screen_worker import Screening
from service.runtime.transactional_worker import TransactionalWorker
from service.selfinstruct.recipe import SELF_INSTRUCT
from tests.conftest import OpenBroker
from tests.support import examples
from tests.support.logs import (
    DEADLINE_S,
    QUIET_S,
    RUN,
    create,
    drained_after,
    follow,
    read,
    send,
    stays_at,
    until,
    until_committed,
    work_off,
    write,
)

pytestmark = pytest.mark.anyio

RIVERS = "Name three rivers that flow through Europe"
ALIKE = "Name three rivers that flow through Asia"
COUNT = 40


@dataclass(frozen=True)
class Screens:
    """A screen that runs beside a test. The test does not wait until the screen is ready."""

    screening: Screening

    async def run(self, drain: anyio.Event) -> None:
        await self.screening.run(drain, anyio.Event())


@dataclass
class Hearing:
    """The hints of a filter, and the alarms about wrong ones."""

    alarms: list[WrongHint] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hints = Hints(SELF_INSTRUCT.filters.rouge_threshold, self.alarms.append)


def screens(broker: Broker) -> Screens:
    return Screens(Screening(Screen(SELF_INSTRUCT), broker, RUN))


@asynccontextmanager
async def heard(broker: Broker, count: int) -> AsyncIterator[Hearing]:
    """Receive hints during the block. The block begins when `count` prompts have a hint."""
    hearing = Hearing()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow_hints, broker, RUN, hearing.hints)
        await until(broker, lambda: len(hearing.hints) == count)
        yield hearing
        tasks.cancel_scope.cancel()


def text(number: int) -> str:
    """Return a text. The texts of numbers 2n and 2n + 1 are alike."""
    return " ".join(f"w{number // 2}x{word}" for word in range(7)) + f" {number % 2}"


async def preload(broker: Broker) -> None:
    """Commit a pool, then write answers. Every second text is like the one before it, and some are like the pool."""
    await create(broker, partitions=4)
    await send(broker, *(examples.seed(number, text(10 * number)) for number in range(5)))
    await work_off(TransactionalWorker(Admit(SELF_INSTRUCT), broker, RUN))
    await send(broker, *(examples.answer(seq, text(seq), text(seq + 3)) for seq in range(COUNT)))


async def results(broker: Broker) -> list[Message]:
    return [*await read(broker, topics.POOL), *await read(broker, topics.DECISIONS)]


async def test_two_screens_write_one_hint_on_each_answer(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await preload(broker)
        one, other = screens(broker), screens(broker)
        async with drained_after(one, other):
            hints = await follow(broker, topics.HINTS, COUNT)
            await until(broker, lambda: one.screening.written + other.screening.written >= COUNT)
        assert {hint.prompt_seq for hint in hints} == set(range(COUNT))
        assert {hint.pool_seen for hint in hints} == {5}


async def test_prompts_are_shared_among_screens_that_are_there(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=4)
        one, other = screens(broker), screens(broker)
        async with drained_after(one, other):
            written, seq = (0, 0), 0
            with anyio.fail_after(DEADLINE_S):
                while not all(written):
                    await send(broker, *(examples.answer(each, RIVERS) for each in range(seq, seq + 8)))
                    seq += 8
                    await until(broker, lambda: one.screening.written + other.screening.written >= seq)  # noqa: B023
                    written = (one.screening.written, other.screening.written)


async def test_with_hints_the_results_are_those_without(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await preload(broker)
        async with drained_after(screens(broker)), heard(broker, COUNT) as hearing:
            await work_off(TransactionalWorker(Admit(SELF_INSTRUCT, hearing.hints), broker, RUN))
        tally = hearing.hints.tally
        assert tally[Use.USED] + tally[Use.AUDITED] == 2 * COUNT
        assert (hearing.alarms, len(hearing.hints)) == ([], 0)
        with_hints = await results(broker)
    async with open_broker() as broker:
        pool = await read(broker, topics.POOL)
    admit = Admit(SELF_INSTRUCT)
    for task in pool[:5]:
        admit.restore(task)
    answers = [examples.answer(seq, text(seq), text(seq + 3)) for seq in range(COUNT)]
    judged = [result for _, result in (await admit(answers)).results]
    assert [each for each in with_hints if each in judged] == with_hints[5:]


async def test_a_screen_sees_what_joins_the_pool_meanwhile(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.answer(0, RIVERS))
        async with drained_after(screens(broker)):
            await follow(broker, topics.HINTS, 1)
            await work_off(TransactionalWorker(Admit(SELF_INSTRUCT), broker, RUN))
            await send(broker, examples.answer(1, ALIKE))
            first, second = await follow(broker, topics.HINTS, 2)
        assert (first.pool_seen, first.candidates[0].nearest) == (0, None)
        assert (second.pool_seen, second.candidates[0].nearest) == (1, 0)


async def test_what_is_decided_when_a_screen_starts_gets_no_hint(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.answer(0, RIVERS), examples.answer(1, ALIKE))
        await work_off(TransactionalWorker(Admit(SELF_INSTRUCT), broker, RUN))
        await send(broker, examples.answer(2, ALIKE))
        async with drained_after(screens(broker)):
            assert [hint.prompt_seq for hint in await follow(broker, topics.HINTS, 1)] == [2]
            assert await stays_at(broker, topics.HINTS, 1)


async def test_seeds_failures_and_poison_get_no_hint(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.seed(0), examples.failed(0))
        await write(broker, NewRecord(topics.CANDIDATES.of(RUN), b"{", b"p1"))
        await send(broker, examples.answer(2, RIVERS))
        async with drained_after(screens(broker)):
            assert [hint.prompt_seq for hint in await follow(broker, topics.HINTS, 1)] == [2]


async def test_poison_among_hints_is_passed_over(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await preload(broker)
        await write(broker, NewRecord(topics.HINTS.of(RUN), b"{", b"p1"))
        async with drained_after(screens(broker)), heard(broker, COUNT) as hearing:
            await write(broker, NewRecord(topics.HINTS.of(RUN), b"{", b"p1"))
            await work_off(TransactionalWorker(Admit(SELF_INSTRUCT, hearing.hints), broker, RUN))
        assert hearing.hints.tally[Use.USED] > 0


async def test_a_screen_waits_for_the_filter_when_it_is_far_ahead(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *(examples.answer(seq, "Too short") for seq in range(2_300)))
        screen = screens(broker)
        async with drained_after(screen):
            await until(broker, lambda: screen.screening.written > 2_000)
            with anyio.move_on_after(3 * QUIET_S):
                await until(broker, lambda: screen.screening.written > 2_200)
            assert screen.screening.written <= 2_200
            committer = TransactionalWorker(Admit(SELF_INSTRUCT), broker, RUN)
            await work_off(committer)
            await until_committed(broker, "admit", topics.CANDIDATES, 2_300)
        assert screen.screening.written <= 2_300


def test_a_hole_in_the_pool_is_an_error() -> None:
    with pytest.raises(BrokerError, match="expected task 0, got 3"):
        Screen(SELF_INSTRUCT).follow(examples.pooled(3))
