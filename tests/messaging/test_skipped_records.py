"""Warnings about records that cannot be read: one for each topic of a log, then their number."""

import pytest
from structlog.testing import capture_logs

from service.messaging import topics
from service.messaging.broker import Broker, NewRecord
from service.messaging.topic_reader import Tail, replay
from tests.conftest import OpenBroker
from tests.support.logs import RUN, create, write

pytestmark = pytest.mark.anyio


async def test_strangers_are_warned_of_once_a_topic(open_broker: OpenBroker) -> None:
    strangers = [NewRecord(topic.of(RUN), b"hello") for topic in (topics.CANDIDATES, topics.POOL) for _ in range(40)]
    async with open_broker() as broker:
        await create(broker)
        await write(broker, *strangers)
        with capture_logs() as logs:
            assert await messages_of(broker) == 0
            assert await messages_of(broker) == 0
            await replay(broker, RUN, [topics.POOL], lambda _: None)
            await write(broker, NewRecord(topics.POOL.of(RUN), b"hello"))
            assert await messages_of(broker) == 0
    said = [(each["event"], each["topic"], each["records"]) for each in logs if "records" in each]
    candidates, pool = topics.CANDIDATES.of(RUN), topics.POOL.of(RUN)
    assert [each["event"] for each in logs if "error" in each] == [
        "record.unreadable",
        "record.unreadable",
        "record.foreign",
    ]
    assert said == [
        ("record.unreadable", candidates, 40),
        ("record.unreadable", pool, 40),
        ("record.foreign", pool, 40),
        ("record.unreadable", pool, 41),
    ]


async def messages_of(broker: Broker) -> int:
    async with Tail.of(broker, RUN, [topics.CANDIDATES, topics.POOL]) as tail:
        return len([message async for message in tail.messages_to_end()])
