"""Polls that a stop interrupts."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import anyio
import pytest

from service.adapters.sqlite import SqliteBroker
from service.messaging.broker import Record
from service.messaging.interrupted_polls import InterruptedPolls
from tests.contract.logs import DEADLINE_S, P0, create, send, texts

pytestmark = pytest.mark.anyio

_FOR_EVER_S = 1e6


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[SqliteBroker]:
    async with SqliteBroker.open(tmp_path / "log.sqlite3") as broker:
        await create(broker)
        yield broker


async def test_a_stop_ends_the_poll_under_way_and_loses_no_record(broker: SqliteBroker) -> None:
    stop, polled = anyio.Event(), list[list[Record]]()
    async with broker.reader([P0]) as reader:
        with anyio.fail_after(DEADLINE_S):
            async with InterruptedPolls.until(stop) as polls, anyio.create_task_group() as tasks:
                await send(broker, "a")
                polled.append(await polls.poll(partial(reader.poll, 10, _FOR_EVER_S)))
                tasks.start_soon(_set_when_blocked, stop)
                polled.append(await polls.poll(partial(reader.poll, 10, _FOR_EVER_S)))
            await send(broker, "b")
            polled.append(await reader.poll(10, _FOR_EVER_S))
    assert [texts(records) for records in polled] == [["a"], [], ["b"]]


async def test_no_poll_begins_after_a_stop(broker: SqliteBroker) -> None:
    stop = anyio.Event()
    stop.set()
    async with broker.reader([P0]) as reader, InterruptedPolls.until(stop) as polls:
        await send(broker, "a")
        assert await polls.poll(partial(reader.poll, 10, _FOR_EVER_S)) == []


async def _set_when_blocked(stop: anyio.Event) -> None:
    await anyio.wait_all_tasks_blocked()
    stop.set()
