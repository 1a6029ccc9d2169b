"""The counts of a run and the lineage of its ids are the same with a checkpoint and without."""

import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
import pytest

import service.selfinstruct.similarity  # noqa: F401 - not for the first time in the event loop
from service.checkpoints import Checkpoints
from service.messaging.broker import Broker
from service.messaging.dead_letters import DEAD_LETTER_TOPICS
from service.messaging.messages import Message
from service.messaging.topic_reader import Tail
from service.messaging.topics import ALL
from service.run.lineage import Evidence, gather
from service.run.progress import Progress
from service.run.progress_reader import ProgressReader
from service.selfinstruct.tasks import InstanceReason
from tests.support import examples
from tests.support.logs import DEADLINE_S, RUN, create, send

OpenBroker = Callable[[], AbstractAsyncContextManager[Broker]]

pytestmark = pytest.mark.anyio


def beginning() -> list[Message]:
    return [
        examples.definition(2),
        examples.goal(5),
        examples.pooled_seed(0),
        examples.pooled_seed(1),
        *map(examples.prompt, range(4)),
        examples.answer(0, "one", "two"),
        examples.decision(0, accepted=2, pool_size=4),
        examples.classified("p0.0", is_classification=True),
        examples.task_instances("p0.0"),
    ]


def rest() -> list[Message]:
    return [
        examples.pooled(2),
        examples.answer(1),
        examples.failed(2),
        examples.decision(1, pool_size=4),
        examples.decision(2, failure="timed out", pool_size=4),
        examples.task_instances("p0.1", InstanceReason.NONE_PARSED),
        examples.finished(2),
    ]


async def whole(broker: Broker) -> Progress:
    progress = Progress()
    async with Tail.of(broker, RUN, (*ALL, *DEAD_LETTER_TOPICS)) as tail:
        async for message in tail.messages_to_end():
            progress.apply(message)
    return progress


async def from_checkpoint(broker: Broker, folder: Path) -> Progress:
    async with ProgressReader.open(broker, RUN, Checkpoints(folder)) as reader:
        await reader.catch_up()
        await reader.save()
        return reader.progress


async def test_counts_are_equal_with_and_without_a_checkpoint(open_broker: OpenBroker, tmp_path: Path) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=2)
        await send(broker, *beginning())
        first = await from_checkpoint(broker, tmp_path)
        assert (first.prompts, first.decided, first.finished) == (4, 1, 0)
        assert first == await whole(broker)
        await send(broker, *rest())
        assert await from_checkpoint(broker, tmp_path) == await whole(broker)
        assert await from_checkpoint(broker, tmp_path) == await whole(broker)


@pytest.mark.parametrize("name", ["p0.0", "p0.1", "p1", "p2", "p3", "s0", "m2"])
async def test_the_lineage_is_that_of_the_whole_log(open_broker: OpenBroker, tmp_path: Path, name: str) -> None:
    async with open_broker() as broker:
        await create(broker, partitions=2)
        await send(broker, *beginning())
        await from_checkpoint(broker, tmp_path)
        await send(broker, *rest())
        prompt_id, _, position = name.partition(".")
        expected = Evidence(name, prompt_id if position else name, int(position) if position else None)
        async with Tail.of(broker, RUN, (*ALL, *DEAD_LETTER_TOPICS)) as tail:
            async for message in tail.messages_to_end():
                expected.apply(message)
        expected.has_earlier = name in expected.pool
        async with ProgressReader.open(broker, RUN, Checkpoints(tmp_path)) as reader:
            await reader.catch_up()
            found = await gather(broker, RUN, name, reader.index, sys.maxsize)
    assert found.facts() == expected.facts()


async def test_a_task_is_compared_with_many_others_only_if_asked(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        await send(broker, *(examples.pooled(number) for number in range(5)))
        async with ProgressReader.open(broker, RUN, Checkpoints(None)) as reader:
            await reader.catch_up()
            few = await gather(broker, RUN, "m4", reader.index, 3)
            all_of_them = await gather(broker, RUN, "m4", reader.index, 4)
    assert (few.has_earlier, few.facts()["nearest"]) == (False, None)
    assert len(all_of_them.facts()["nearest"]["most_similar"]) == 4


async def test_what_is_followed_is_counted_and_saved(open_broker: OpenBroker, tmp_path: Path) -> None:
    async with open_broker() as broker:
        await create(broker)
        with anyio.fail_after(DEADLINE_S):
            async with ProgressReader.open(broker, RUN, Checkpoints(tmp_path)) as reader:
                await reader.catch_up()
                await send(broker, *beginning())
                seen = list[Message]()
                while len(seen) < len(beginning()):
                    seen += await reader.next()
                assert reader.progress == await whole(broker)
                await reader.save()
        shares = list[float]()
        async with ProgressReader.open(broker, RUN, Checkpoints(tmp_path)) as reader:
            assert reader.progress == await whole(broker)
            await reader.catch_up(shares.append)
        assert shares == []
