"""Streams of a real run: its log, its read model and the whole service, which ends and begins again."""

import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from msgspec import structs

from service.adapters.sqlite import SqliteBroker
from service.client.http import HttpTasks, LiveService, ServiceError, StreamOptions, TaskFilter
from service.lm.backoff import Backoff
from service.messaging import codec
from service.messaging.broker import Broker
from tests.support.examples import definition, finished
from tests.support.logs import DEADLINE_S, RUN, create, send
from tests.web.service import READER, served

pytestmark = pytest.mark.anyio

_NOW = StreamOptions(until_end=True, backoff=Backoff(base_s=0.01, cap_s=0.05))
_LIVE = structs.replace(_NOW, until_end=False)


@asynccontextmanager
async def begun(folder: Path) -> AsyncIterator[Broker]:
    """Open the log of a run that is defined, with three partitions of tasks."""
    async with SqliteBroker.open(folder / f"{RUN}.sqlite3") as broker:
        await create(broker, partitions=3)
        await send(broker, definition(1))
        yield broker


async def finish(broker: Broker, *seqs: int) -> None:
    """Finish tasks in one transaction, whose end takes an offset."""
    async with broker.transactional_producer("finish") as producer:
        await producer.begin()
        await producer.send(
            [
                structs.replace(
                    codec.encode(structs.replace(finished(seq), is_classification=seq % 4 == 0), RUN),
                    partition=seq * 7 % 3,
                )
                for seq in seqs
            ]
        )
        await producer.commit()


@asynccontextmanager
async def opened(url: object, options: StreamOptions, token: str | None = None) -> AsyncIterator[HttpTasks]:
    with anyio.fail_after(DEADLINE_S):
        async with LiveService.open(str(url), token) as service, service.tasks(RUN, options) as tasks:
            yield tasks


async def seqs_of(url: object, options: StreamOptions = _NOW) -> list[int]:
    async with opened(url, options) as tasks:
        return [task.task_seq async for task in tasks]


async def test_a_stream_until_the_end_has_all_that_is_committed(tmp_path: Path) -> None:
    async with begun(tmp_path) as broker, served(tmp_path) as service:
        assert await seqs_of(service.url) == []
        for seq in range(0, 9, 3):
            await finish(broker, seq, seq + 1, seq + 2)
            assert sorted(await seqs_of(service.url)) == list(range(seq + 3))


async def test_a_filter_of_the_read_model_holds_for_old_and_new_tasks(tmp_path: Path) -> None:
    async with begun(tmp_path) as broker, served(tmp_path) as service:
        await finish(broker, *range(6))
        wanted = structs.replace(_LIVE, wanted=TaskFilter(classification="yes", q="rivers eur"))
        async with opened(service.url, wanted) as tasks:
            assert {(await anext(tasks)).task_seq for _ in range(2)} == {0, 4}
            await finish(broker, 6, 7, 8)
            assert (await anext(tasks)).task_seq == 8


@pytest.mark.parametrize("tables", ["kept", "lost"])
async def test_a_client_bridges_restarts_while_the_run_goes_on(tmp_path: Path, tables: str) -> None:
    came: Counter[int] = Counter()
    port = 0
    async with begun(tmp_path) as broker, anyio.create_task_group() as works:
        for life in range(3):
            if tables == "lost":
                await anyio.to_thread.run_sync(shutil.rmtree, tmp_path / f"{RUN}.state", True)  # noqa: FBT003
            async with AsyncExitStack() as stack:
                service = await stack.enter_async_context(served(tmp_path, web_port=port))
                if not port:
                    port = service.url.port or 0
                    works.start_soon(_count, str(service.url), came)
                await finish(broker, *range(6 * life, 6 * life + 3))
                await _until_seen(came, 6 * life + 3)
            await finish(broker, *range(6 * life + 3, 6 * life + 6))
        async with served(tmp_path, web_port=port):
            await _until_seen(came, 18)
        works.cancel_scope.cancel()
    assert came == Counter(range(18))


async def _count(url: str, came: Counter[int]) -> None:
    async with opened(url, _LIVE) as tasks:
        async for task in tasks:
            came[task.task_seq] += 1


async def _until_seen(came: Counter[int], tasks: int) -> None:
    with anyio.fail_after(DEADLINE_S):
        while len(came) < tasks:  # noqa: ASYNC110 - looked at from outside
            await anyio.sleep(0.01)


async def test_a_position_of_another_log_is_refused(tmp_path: Path) -> None:
    async with begun(tmp_path) as broker, served(tmp_path) as service:
        await finish(broker, 0)
        for position in ("0-100", "7-1"):
            with pytest.raises(ServiceError, match="up to the end of the log"):
                await seqs_of(service.url, structs.replace(_NOW, start=position))


async def test_a_stream_needs_a_token_where_there_are_tokens(tmp_path: Path, tokens: Path) -> None:
    async with begun(tmp_path), served(tmp_path, web_tokens=tokens) as service:
        with pytest.raises(ServiceError, match="401 from"):
            await seqs_of(service.url)
        async with opened(service.url, _NOW, READER) as tasks:
            assert [task async for task in tasks] == []
