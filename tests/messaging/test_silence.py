"""A reader that gets nothing on its way to the end of a topic."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from service.adapters.sqlite import SqliteBroker
from service.errors import BrokerError
from service.messaging import codec, topics
from service.messaging.broker import Broker, Isolation, Partition
from service.messaging.topic_reader import Tail
from service.runtime.answered_inputs import Answers
from tests.conftest import OpenBroker
from tests.fakes.brokers import Breakage
from tests.fakes.stalled_broker import StalledBroker
from tests.support import examples
from tests.support.logs import DEADLINE_S, RUN, create, send, until

pytestmark = pytest.mark.anyio

SOURCE = Partition(topics.PROMPTS.of(RUN), 0)


async def count_seeds(broker: Broker) -> int:
    async with Tail.of(broker, RUN, [topics.CANDIDATES]) as tail:
        return len([record async for record in tail.to_end(silence_s=0.0)])


@asynccontextmanager
async def stalled(open_broker: OpenBroker) -> AsyncIterator[Broker]:
    """Open a log with a seed, which is back once somebody has asked why it is silent."""
    async with open_broker() as real, anyio.create_task_group() as tasks:
        await create(real)
        await send(real, examples.seed(1))
        broker = StalledBroker(real, Breakage.BEFORE)

        async def come_back() -> None:
            await broker.asked.wait()
            broker.back.set()

        tasks.start_soon(come_back)
        with anyio.fail_after(DEADLINE_S):
            yield broker


async def test_a_stall_is_no_error_once_its_end_answers(open_broker: OpenBroker) -> None:
    async with stalled(open_broker) as broker:
        assert await count_seeds(broker) == 1


async def test_a_recall_survives_a_stall(open_broker: OpenBroker) -> None:
    async with (
        stalled(open_broker) as broker,
        Answers.behind(broker, topics.CANDIDATES.of(RUN), (0,)) as answers,
    ):
        assert await answers.now({SOURCE: 0}, silence_s=0.0) == {SOURCE: {}}


class Silent(SqliteBroker):
    """A broker whose topics end behind what it returns."""

    async def end_offsets(self, partitions: Sequence[Partition], isolation: Isolation) -> Mapping[Partition, int]:
        return {each: end + 1 for each, end in (await super().end_offsets(partitions, isolation)).items()}


async def test_silence_before_the_end_of_a_topic_is_an_error(tmp_path: Path) -> None:
    async with Silent.open(tmp_path / "run.sqlite3") as broker:
        await create(broker)
        await send(broker, examples.seed(1))
        with pytest.raises(BrokerError, match=r"candidates/0: expected records up to offset 2, got none"):
            await count_seeds(broker)


async def test_records_behind_an_open_transaction_are_awaited(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await create(broker)
        found: list[int] = []
        with capture_logs() as logs:
            async with broker.transactional_producer("t") as open_one, anyio.create_task_group() as tasks:
                await open_one.begin()
                await open_one.send([codec.encode(examples.seed(1), RUN)])
                await send(broker, examples.seed(2))

                async def read_on() -> None:
                    found.append(await count_seeds(broker))

                tasks.start_soon(read_on)
                await until(broker, lambda: any(each["event"] == "records.hidden_by_open_transaction" for each in logs))
                assert found == []
                await open_one.abort()
        assert found == [1]
