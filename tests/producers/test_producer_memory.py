"""The prompt producer goes on from a checkpoint, or as a standby, exactly as it would from the whole log."""

import random
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from producers.memory import PRODUCER, ProducerMemory, Readers
from producers.prompts import PromptProducer
from service.checkpoints import NO_CHECKPOINTS, Checkpoints, file, writer
from service.messaging import codec, topics
from service.messaging.broker import Broker
from service.messaging.messages import Ending, GoalSet, Message
from tests.conftest import OpenBroker
from tests.producers.test_prompt_budget import bought
from tests.support import examples
from tests.support.logs import DEADLINE_S, RUN, drained_after, follow, killed_after, read, send, stays_at, write
from tests.support.seeded import SEEDS, run_with

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "r.state"


def producing(broker: Broker, folder: Path | None) -> PromptProducer:
    return PromptProducer(broker, RUN, 3, 1_000, Checkpoints(folder))


async def facts_of(broker: Broker, checkpoints: Checkpoints) -> tuple[object, ...]:
    """Return all that a producer would know."""
    async with Readers.of(broker, RUN) as readers:
        memory = ProducerMemory(readers, checkpoints)
        await memory.rebuild()
        pool = memory.pool
        shown = [pool.machine[place] for place in range(len(pool.machine))]
        return memory.progress, memory.progress.bill, pool.human, pool.classification, shown


def decided(seq: int, pool: int) -> list[Message]:
    """Return what follows from a prompt with one accepted task, from which another prompt follows."""
    return [examples.pooled(pool, depth=seq + 1), examples.decision(seq, accepted=1, pool_size=pool + 1)]


@pytest.mark.parametrize("seed", range(4))
async def test_a_restarted_producer_knows_what_the_log_says(
    open_broker: OpenBroker, folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Producers are drained or killed at random; each of them writes checkpoints as it goes."""
    monkeypatch.setattr(writer, "_RECORDS", 2)
    monkeypatch.setattr(writer, "_PAUSE_S", 0.0)
    rng = random.Random(seed)
    async with run_with(open_broker) as broker:
        for seq in range(8):
            async with rng.choice([drained_after, killed_after])(producing(broker, folder)):
                await follow(broker, topics.PROMPTS, seq + 3)
                if rng.random() < 0.5:
                    await send(broker, *decided(seq, len(SEEDS) + seq))
                    await follow(broker, topics.PROMPTS, seq + 4)
                    continue
            await send(broker, *decided(seq, len(SEEDS) + seq))
        prompts = await read(broker, topics.PROMPTS)
        assert sorted(prompt.seq for prompt in prompts) == list(range(len(prompts)))
        assert await to_thread.run_sync((folder / "producer.checkpoint").exists)
        assert await facts_of(broker, Checkpoints(folder)) == await facts_of(broker, NO_CHECKPOINTS)


async def test_what_a_checkpoint_covers_is_not_read_again(open_broker: OpenBroker, folder: Path) -> None:
    async with run_with(open_broker) as broker:
        async with drained_after(producing(broker, folder)):
            await follow(broker, topics.PROMPTS, 3)
        _, state = await to_thread.run_sync(file.read, folder / "producer.checkpoint")
        assert (state.values["progress"]["prompts"], state.values["progress"]["pool"]) == (3, len(SEEDS))
        async with Readers.of(broker, RUN) as readers:
            await Checkpoints(folder).restore(PRODUCER, readers)
            assert [len(await each.records(0.0)) for each in (readers.followed, readers.prompts)] == [0, 0]


@pytest.mark.parametrize("first", [None, 100.0])
async def test_costs_are_counted_once_with_a_checkpoint(
    open_broker: OpenBroker, folder: Path, first: float | None
) -> None:
    """The limit in dollars is set before the checkpoint or behind it, and is reached by costs on both sides."""
    goal = GoalSet(run=RUN, target=1_000, budget_usd=first)
    async with run_with(open_broker, examples.prompt(0), *bought(0, 10), goal=goal) as broker:
        async with drained_after(producing(broker, folder)):
            await follow(broker, topics.PROMPTS, 4)
        await send(broker, GoalSet(run=RUN, target=1_000, budget_usd=4.0), *bought(1, 11))
        with anyio.fail_after(DEADLINE_S):
            end = await producing(broker, folder).run(anyio.Event())
        assert end is not None
        assert (end.ending, end.finished) == (Ending.BUDGET_SPENT, 2)
        assert end.detail.startswith("$4 of the budget of $4 is spent")


async def test_a_prompt_of_another_writer_ends_the_checkpoints(open_broker: OpenBroker, folder: Path) -> None:
    async with run_with(open_broker) as broker:
        async with drained_after(producing(broker, folder)):
            await follow(broker, topics.PROMPTS, 3)
            await write(broker, codec.encode(examples.prompt(77), RUN))
        assert not await to_thread.run_sync((folder / "producer.checkpoint").exists)


@pytest.mark.parametrize("with_checkpoints", [True, False])
async def test_a_standby_follows_and_takes_over(
    open_broker: OpenBroker, folder: Path, *, with_checkpoints: bool
) -> None:
    turn, place = anyio.Event(), folder if with_checkpoints else None
    async with run_with(open_broker) as broker, anyio.create_task_group() as tasks:
        standby = producing(broker, place)
        tasks.start_soon(standby.run, anyio.Event(), turn)
        async with killed_after(producing(broker, place)):
            await follow(broker, topics.PROMPTS, 3)
            await send(broker, *decided(0, len(SEEDS)))
            await follow(broker, topics.PROMPTS, 4)
            assert await stays_at(broker, topics.PROMPTS, 4)
        await send(broker, *decided(1, len(SEEDS) + 1))
        assert await stays_at(broker, topics.PROMPTS, 4)
        turn.set()
        prompts = await follow(broker, topics.PROMPTS, 5)
        assert [prompt.seq for prompt in prompts] == list(range(5))
        tasks.cancel_scope.cancel()


async def test_a_standby_that_is_drained_issues_nothing(open_broker: OpenBroker, folder: Path) -> None:
    async with run_with(open_broker) as broker:
        drain = anyio.Event()
        drain.set()
        assert await producing(broker, folder).run(drain, anyio.Event()) is None
        assert not await read(broker, topics.PROMPTS)
