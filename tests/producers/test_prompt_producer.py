"""The issue of prompts, and the end of a run."""

import anyio
import pytest
from msgspec.structs import replace

from producers.prompts import PromptProducer, write_prompt
from producers.replay import DeadLetterReplay
from producers.sampling_pool import SamplingPool
from service.errors import FencedError, NewerVersionError
from service.messaging import codec, topics
from service.messaging.broker import Broker, NewRecord
from service.messaging.messages import Ending, Message, RunEnded
from service.messaging.topics import Topic
from service.selfinstruct.tasks import InstanceReason
from tests.conftest import OpenBroker
from tests.support import examples
from tests.support.logs import (
    DEADLINE_S,
    RUN,
    create,
    drained_after,
    follow,
    killed_after,
    partitions_of,
    read,
    send,
    stays_at,
    write,
)
from tests.support.newer import by_newer, changed
from tests.support.seeded import FAR, SEEDS, run_with

pytestmark = pytest.mark.anyio

REACHED = RunEnded(run=RUN, ending=Ending.TARGET_REACHED, target=2, finished=2, detail="")


def producing(broker: Broker, window: int = 3, patience: int = 100) -> PromptProducer:
    return PromptProducer(broker, RUN, window, patience)


async def ended(broker: Broker, window: int = 3, patience: int = 100) -> RunEnded:
    """Run a producer until its run has come to rest."""
    with anyio.fail_after(DEADLINE_S):
        result = await producing(broker, window, patience).run(anyio.Event())
    assert result is not None
    return result


async def test_nothing_is_written_before_all_seeds_are_in_the_pool(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.definition(10), FAR, *SEEDS[:9])
        async with killed_after(producing(broker)):
            assert await stays_at(broker, topics.PROMPTS, 0)
            await send(broker, SEEDS[9])
            (first, *_) = await follow(broker, topics.PROMPTS, 3)
    pool = SamplingPool()
    for seed in SEEDS:
        pool.apply(seed)
    assert first == write_prompt(examples.definition(10), pool, 0)


def dead_seed(number: int) -> NewRecord:
    record = replace(codec.encode(examples.seed(number), RUN), value=b"{")
    return replace(record, topic=topics.CANDIDATES.dead_letters_of(RUN))


async def test_a_seed_among_the_dead_letters_holds_nothing_up(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.definition(10), FAR, *SEEDS[:9])
        await write(broker, dead_seed(9))
        async with killed_after(producing(broker)):
            assert len(await follow(broker, topics.PROMPTS, 3)) == 3


async def test_too_few_seeds_beside_dead_ones_end_the_run(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, examples.definition(9), FAR, *SEEDS[:7])
        await write(broker, dead_seed(7), dead_seed(8))
        end = await ended(broker)
        assert (end.ending, "shows 8 tasks, and there are 7: 2 seed tasks" in end.detail) == (Ending.STALLED, True)


async def test_there_are_never_more_undecided_prompts_than_the_window(open_broker: OpenBroker) -> None:
    async with run_with(open_broker) as broker, killed_after(producing(broker, window=3)):
        assert await stays_at(broker, topics.PROMPTS, 3)
        await send(broker, examples.decision(1), examples.decision(0))
        prompts = await follow(broker, topics.PROMPTS, 5)
        assert [prompt.seq for prompt in prompts] == [0, 1, 2, 3, 4]
        assert await stays_at(broker, topics.PROMPTS, 5)


async def test_a_decision_counts_once_its_tasks_are_in_the_pool(open_broker: OpenBroker) -> None:
    async with run_with(open_broker) as broker, killed_after(producing(broker, window=1)):
        await follow(broker, topics.PROMPTS, 1)
        await send(broker, examples.decision(0, accepted=2, pool_size=12))
        assert await stays_at(broker, topics.PROMPTS, 1)
        await send(broker, examples.pooled(10), examples.pooled(11))
        _, second = await follow(broker, topics.PROMPTS, 2)
        assert {"m10", "m11"} <= set(second.demonstrations)


async def test_numbers_have_no_gap_after_a_drain_and_after_a_kill(open_broker: OpenBroker) -> None:
    async with run_with(open_broker) as broker:
        async with drained_after(producing(broker, window=2)):
            await follow(broker, topics.PROMPTS, 2)
        async with killed_after(producing(broker, window=5)):
            await follow(broker, topics.PROMPTS, 5)
    async with open_broker() as broker:
        await send(broker, examples.decision(0))
        async with drained_after(producing(broker, window=5)):
            prompts = await follow(broker, topics.PROMPTS, 6)
            assert await stays_at(broker, topics.PROMPTS, 6)
    assert [prompt.seq for prompt in prompts] == list(range(6))


async def test_a_second_producer_takes_over_from_the_first(open_broker: OpenBroker) -> None:
    async with run_with(open_broker) as broker:
        with anyio.fail_after(DEADLINE_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_take_over_after, broker, 2)
                with pytest.raises(FencedError):
                    await producing(broker, window=2).run(anyio.Event())
        seqs = [prompt.seq for prompt in await read(broker, topics.PROMPTS)]
        assert seqs == list(range(len(seqs)))


async def _take_over_after(broker: Broker, prompts: int) -> None:
    await follow(broker, topics.PROMPTS, prompts)
    async with killed_after(producing(broker, window=4)):
        await follow(broker, topics.PROMPTS, 4)
        await send(broker, *map(examples.decision, range(3)))
        await follow(broker, topics.PROMPTS, 7)


async def test_a_run_stalls_after_fruitless_prompts_with_reasons(open_broker: OpenBroker) -> None:
    async with run_with(open_broker) as broker, anyio.create_task_group() as tasks:
        tasks.start_soon(_decide_without_acceptance, broker, 6)
        end = await ended(broker, window=2, patience=4)
        tasks.cancel_scope.cancel()
        assert (end.ending, end.target, end.finished) == (Ending.STALLED, 1_000, 0)
        assert "4 prompts in a row" in end.detail
        assert "too_short 3" in end.detail
        assert "failed prompts: 1" in end.detail
        assert [message for message in await read(broker, topics.CONTROL) if isinstance(message, RunEnded)] == [end]


async def _decide_without_acceptance(broker: Broker, count: int) -> None:
    for seq in range(count):
        await follow(broker, topics.PROMPTS, seq + 1)
        await send(broker, examples.decision(seq, failure="timed out" if seq == 0 else None))


async def test_a_stalled_run_resumes_when_it_is_started_again(open_broker: OpenBroker) -> None:
    stalled = [*map(examples.prompt, range(4)), *map(examples.decision, range(4))]
    end = RunEnded(run=RUN, ending=Ending.STALLED, target=1_000, finished=0, detail="")
    async with run_with(open_broker, *stalled, end) as broker, killed_after(producing(broker, patience=4)):
        assert len(await follow(broker, topics.PROMPTS, 7)) == 7


async def test_an_acceptance_resets_the_count_of_fruitless_prompts(open_broker: OpenBroker) -> None:
    async with run_with(open_broker) as broker, killed_after(producing(broker, window=1, patience=3)):
        for seq in range(8):
            await follow(broker, topics.PROMPTS, seq + 1)
            await send(broker, examples.decision(seq, accepted=seq % 3 == 2))
        assert len(await follow(broker, topics.PROMPTS, 9)) == 9


async def test_a_capped_run_ends_when_all_its_prompts_have_ended(
    open_broker: OpenBroker,
) -> None:
    goal = examples.goal(1_000, max_prompts=2)
    async with run_with(open_broker, goal=goal) as broker:
        async with killed_after(producing(broker, window=8)):
            assert await stays_at(broker, topics.PROMPTS, 2)
            await send(broker, examples.decision(0, accepted=1), examples.decision(1))
            assert await stays_at(broker, topics.CONTROL, 2)
            await send(broker, examples.task_instances("p0.0", InstanceReason.NONE_PARSED))
            await follow(broker, topics.CONTROL, 3)
        (end,) = [message for message in await read(broker, topics.CONTROL) if isinstance(message, RunEnded)]
        assert end.ending is Ending.PROMPTS_EXHAUSTED
        assert "all 2 prompts" in end.detail
        assert "none_parsed 1" in end.detail


async def test_a_raised_cap_takes_effect_during_the_run(open_broker: OpenBroker) -> None:
    goal = examples.goal(1_000, max_prompts=2)
    async with run_with(open_broker, goal=goal) as broker, killed_after(producing(broker, window=8)):
        await follow(broker, topics.PROMPTS, 2)
        await send(broker, examples.goal(1_000, max_prompts=3))
        assert len(await follow(broker, topics.PROMPTS, 3)) == 3
        assert await stays_at(broker, topics.PROMPTS, 3)


async def test_a_run_ends_when_the_target_is_reached(open_broker: OpenBroker) -> None:
    async with run_with(open_broker, goal=examples.goal(2)) as broker, anyio.create_task_group() as tasks:

        async def finish() -> None:
            await follow(broker, topics.PROMPTS, 1)
            await send(broker, examples.finished(0), examples.finished(1), REACHED)

        tasks.start_soon(finish)
        end = await ended(broker)
        assert (end.ending, end.target, end.finished) == (Ending.TARGET_REACHED, 2, 2)


async def test_a_run_whose_target_was_reached_before_ends_at_once(open_broker: OpenBroker) -> None:
    done = [examples.finished(0), examples.finished(1), REACHED]
    async with run_with(open_broker, *done, goal=examples.goal(2)) as broker:
        end = await ended(broker)
        assert (end.ending, end.target, end.finished) == (Ending.TARGET_REACHED, 2, 2)
        assert await read(broker, topics.PROMPTS) == []


async def test_a_run_ends_when_its_goal_is_lowered_to_finished_tasks(open_broker: OpenBroker) -> None:
    done = [examples.finished(0), examples.finished(1)]
    async with run_with(open_broker, *done) as broker, anyio.create_task_group() as tasks:

        async def lower() -> None:
            await follow(broker, topics.PROMPTS, 1)
            await send(broker, examples.goal(1))

        tasks.start_soon(lower)
        end = await ended(broker)
        assert (end.ending, end.target) == (Ending.TARGET_REACHED, 1)


async def test_a_raised_goal_wakes_a_run_that_had_reached_its_target(open_broker: OpenBroker) -> None:
    done = [examples.finished(0), examples.finished(1), REACHED, examples.goal(50)]
    async with run_with(open_broker, *done, goal=examples.goal(2)) as broker, killed_after(producing(broker)):
        assert len(await follow(broker, topics.PROMPTS, 3)) == 3


async def test_a_drained_run_has_not_ended(open_broker: OpenBroker) -> None:
    drain = anyio.Event()
    drain.set()
    async with run_with(open_broker) as broker:
        assert await producing(broker).run(drain) is None
        assert await read(broker, topics.PROMPTS) == []


def unreadable(message: Message) -> NewRecord:
    """Return the record of a later version, whose type is unknown."""
    record = codec.encode(message, RUN)
    headers = tuple((name, value + b"9" if name == "ce_type" and value else value) for name, value in record.headers)
    return replace(record, headers=headers)


def dead(message: Message) -> NewRecord:
    """Return the dead letter of a message."""
    return replace(codec.encode(message, RUN), topic=codec.encode(message, RUN).topic + ".dlq")


async def test_credits_of_dead_letters_come_back(open_broker: OpenBroker) -> None:
    async with run_with(open_broker) as broker, killed_after(producing(broker, window=2)):
        assert await stays_at(broker, topics.PROMPTS, 2)
        await write(broker, dead(examples.prompt(0)))
        assert await stays_at(broker, topics.PROMPTS, 3)
        await write(broker, dead(examples.answer(1)), replace(dead(examples.answer(1)), key=b"foreign"))
        assert await stays_at(broker, topics.PROMPTS, 4)


async def test_a_capped_run_ends_although_prompts_and_tasks_are_stuck(open_broker: OpenBroker) -> None:
    goal = examples.goal(1_000, max_prompts=2)
    async with run_with(open_broker, goal=goal) as broker, anyio.create_task_group() as tasks:

        async def bury() -> None:
            await follow(broker, topics.PROMPTS, 2)
            await write(broker, dead(examples.answer(0)))
            await send(broker, examples.decision(1, accepted=1))
            await write(broker, dead(examples.instruction("p1.0")))

        tasks.start_soon(bury)
        end = await ended(broker)
        assert end.ending is Ending.PROMPTS_EXHAUSTED
        assert "dead letters: 2" in end.detail


async def test_a_replayed_prompt_is_waited_for_again(open_broker: OpenBroker) -> None:
    goal = examples.goal(1_000, max_prompts=1)
    async with run_with(open_broker, examples.prompt(0), goal=goal) as broker:
        await write(broker, dead(examples.prompt(0)))
        assert (await ended(broker)).ending is Ending.PROMPTS_EXHAUSTED
        await DeadLetterReplay(broker, RUN).run()
        await send(broker, goal)
        async with killed_after(producing(broker)):
            assert await stays_at(broker, topics.CONTROL, 5)
            await send(broker, examples.decision(0))
            await follow(broker, topics.CONTROL, 6)
        assert len(await read(broker, topics.PROMPTS)) == 2


async def test_many_dead_letters_in_a_row_end_the_run(open_broker: OpenBroker) -> None:
    """Otherwise the run would buy prompts for ever for stages that cannot read them."""
    async with run_with(open_broker) as broker, anyio.create_task_group() as tasks:

        async def bury() -> None:
            for seq in range(4):
                await follow(broker, topics.PROMPTS, seq + 1)
                await write(broker, dead(examples.prompt(seq)))

        tasks.start_soon(bury)
        end = await ended(broker, window=1, patience=4)
        assert (end.ending, "4 prompts and tasks are stuck" in end.detail) == (Ending.STALLED, True)
        async with killed_after(producing(broker, window=1, patience=4)):
            assert await stays_at(broker, topics.PROMPTS, 5)


async def test_an_unreadable_prompt_keeps_its_number(open_broker: OpenBroker) -> None:
    async with run_with(open_broker, examples.prompt(0)) as broker:
        await write(broker, unreadable(examples.prompt(1)), NewRecord(topics.PROMPTS.of(RUN), b"\xff", b"foreign"))
        source = await partitions_of(broker, topics.PROMPTS.of(RUN))
        async with killed_after(producing(broker, window=3)), broker.reader(source) as reader:
            records = [await reader.poll(1, DEADLINE_S) for _ in range(5)]
    assert [record.key for (record,) in records] == [b"p0", b"p1", b"foreign", b"p2", b"p3"]


async def test_a_decision_with_an_unknown_reason_gives_its_credit_back(open_broker: OpenBroker) -> None:
    async with run_with(open_broker) as broker, killed_after(producing(broker, window=2)):
        for seq in range(6):
            await follow(broker, topics.PROMPTS, seq + 1)
            new = changed(examples.decision(seq), lambda value: value["verdicts"][0].update(reason="too_dull"))
            await write(broker, new)
        assert await stays_at(broker, topics.PROMPTS, 8)


@pytest.mark.parametrize("topic", [topics.DECISIONS, topics.INSTANCES, topics.TASKS, topics.CONTROL])
async def test_a_newer_record_that_counts_ends_the_producer(open_broker: OpenBroker, topic: Topic[Message]) -> None:
    """Otherwise credits would not come back, and the run would stand still in silence."""
    async with run_with(open_broker) as broker:

        async def write_newer() -> None:
            await follow(broker, topics.PROMPTS, 2)
            await write(broker, by_newer(topic))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write_newer)
            for _ in range(2):
                with pytest.raises(NewerVersionError, match=f"{topic.name}/0/.* upgrade this process"):
                    await ended(broker, window=2)


async def test_a_prompt_of_a_newer_version_takes_a_credit(open_broker: OpenBroker) -> None:
    async with run_with(open_broker) as broker:
        await write(broker, by_newer(topics.PROMPTS, key=b"p0"))
        async with killed_after(producing(broker, window=3)):
            assert await stays_at(broker, topics.PROMPTS, 3)
            await send(broker, examples.decision(0))
            assert await stays_at(broker, topics.PROMPTS, 4)
