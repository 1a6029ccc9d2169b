"""Rows of finished tasks, for streams and pages."""

from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec
import pytest
from msgspec import structs

from service.messaging import codec, topics
from service.messaging.broker import Broker
from service.messaging.messages import FinishedTask, Origin
from service.selfinstruct.tasks import Instance
from service.web.read_model import ReadModel
from service.web.read_model.answers import Classification, StreamRow, TaskFilter, TaskOrder
from tests.conftest import OpenBroker
from tests.support.examples import PROVENANCE, definition
from tests.support.logs import DEADLINE_S, RUN, create, read, send, write
from tests.web.read_model.run_log import following, write_run

pytestmark = pytest.mark.anyio


def finished(seq: int, instruction: str = "", output: str = "out") -> FinishedTask:
    return FinishedTask(
        task_seq=seq,
        id=f"p{seq}.0",
        instruction=instruction or f"Do the thing number {seq}",
        is_classification=(True, False, None)[seq % 3],
        instances=(Instance("", output),),
        pool_seq=seq,
        provenance=structs.replace(PROVENANCE, depth=seq % 2),
        topic=("rivers", "bridges")[seq % 2],
    )


def ids(rows: Sequence[StreamRow]) -> list[str]:
    return [msgspec.json.decode(row.value, type=FinishedTask).id for row in rows]


async def write_tasks(broker: Broker, *tasks: FinishedTask, partitions: int = 1) -> None:
    await create(broker, partitions)
    await send(broker, definition(0))
    for number, task in enumerate(tasks):
        await write(broker, structs.replace(codec.encode(task, RUN), partition=number % partitions))


async def test_rows_are_the_tasks_on_the_log(open_broker: OpenBroker, tmp_path: Path) -> None:
    async with open_broker() as broker:
        await write_run(broker, 20)
        on_log = await read(broker, topics.TASKS)
        async with following(broker, tmp_path / "web.sqlite3") as model:
            rows = await model.rows(0, 100)
            assert [msgspec.json.decode(row.value, type=FinishedTask) for row in rows] == on_log
            assert [row.row for row in rows] == list(range(1, 21))
            assert [row.row for row in await model.rows(5, 3)] == [6, 7, 8]
            assert await model.last_row() == 20


async def test_news_wake_a_waiter(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await write_tasks(broker, finished(0))
        async with following(broker, None) as model:
            seen = model.news.revision
            await send(broker, finished(1))
            with anyio.fail_after(DEADLINE_S):
                while await model.last_row() < 2:
                    seen = await model.news.wait(seen)
            assert ids(await model.rows(1, 10)) == ["p1.0"]


async def test_positions_of_several_partitions(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await write_tasks(broker, *map(finished, range(7)), partitions=3)
        async with following(broker, None) as model:
            rows = await model.rows(0, 10)
            assert await model.vector_at(0) == {}
            assert await model.vector_at(7) == {0: 3, 1: 2, 2: 2}
            assert await model.first_row_beyond({}) == 1
            assert await model.first_row_beyond({0: 3, 1: 2, 2: 2}) == 8
            for row in rows:
                sent = await model.vector_at(row.row)
                assert sent[row.partition] == row.offset + 1
                assert await model.first_row_beyond(sent) == row.row + 1


async def test_a_gap_in_the_offsets_is_no_row(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await write_tasks(broker)
        for seq in range(2):
            async with broker.transactional_producer("t") as producer:
                await producer.begin()
                await producer.send([codec.encode(finished(seq), RUN)])
                await producer.commit()
        async with following(broker, None) as model:
            first, second = await model.rows(0, 10)
            assert second.offset > first.offset + 1
            assert await model.first_row_beyond({0: first.offset + 1}) == 2


async def test_the_first_row_at_a_time(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await write_tasks(broker, *map(finished, range(4)))
        async with following(broker, None) as model:
            rows = await model.rows(0, 10)
            for row in rows:
                before = [each.row for each in rows if each.timestamp_ms < row.timestamp_ms]
                assert await model.first_row_at(row.timestamp_ms) == len(before) + 1
            assert await model.first_row_at(rows[-1].timestamp_ms + 1) == 5


async def test_many_ask_while_it_is_filled(open_broker: OpenBroker, tmp_path: Path) -> None:
    async with open_broker() as broker:
        await write_run(broker, 400)
        async with ReadModel.open(broker, RUN, tmp_path / "web.sqlite3") as model, anyio.create_task_group() as tasks:

            async def ask() -> None:
                seen, rows = 0, 0
                while rows < 400:
                    page = await model.tasks(TaskFilter(text="a"))
                    rows = await model.last_row()
                    assert page.total <= rows
                    assert [each.row for each in await model.rows(max(rows - 5, 0), 5)] == list(
                        range(max(rows - 5, 0) + 1, rows + 1)
                    )
                    if rows < 400:
                        seen = await model.news.wait(seen)

            async with anyio.create_task_group() as asking:
                for _ in range(20):
                    asking.start_soon(ask)
                tasks.start_soon(model.follow)
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (TaskFilter(), [5, 4, 3, 2, 1, 0]),
        (TaskFilter(order=TaskOrder.OLDEST), [0, 1, 2, 3, 4, 5]),
        (TaskFilter(classification=Classification.YES), [3, 0]),
        (TaskFilter(classification=Classification.NO), [4, 1]),
        (TaskFilter(classification=Classification.UNKNOWN), [5, 2]),
        (TaskFilter(topic="bridges"), [5, 3, 1]),
        (TaskFilter(depth=0, topic="rivers"), [4, 2, 0]),
        (TaskFilter(model="scripted", classification=Classification.YES), [3, 0]),
        (TaskFilter(model="another"), []),
        (TaskFilter(topic="\ud800"), []),
        (TaskFilter(origin=Origin.MACHINE), [5, 4, 3, 2, 1, 0]),
        (TaskFilter(origin=Origin.HUMAN), []),
        (TaskFilter(text="number 3"), [3]),
        (TaskFilter(text="thing", topic="bridges"), [5, 3, 1]),
        (TaskFilter(min_distance=0.3), [5, 4, 3, 2, 1, 0]),
    ],
)
async def test_a_filter_selects_tasks(wanted: TaskFilter, expected: list[int], open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await write_tasks(broker, *map(finished, range(6)))
        async with following(broker, None) as model:
            page = await model.tasks(wanted)
            assert ids([found.task for found in page.tasks]) == [f"p{seq}.0" for seq in expected]
            assert (page.total, page.next) == (len(expected), None)
            matching = await model.matching_rows(wanted, 0, 10)
            assert sorted(ids(matching.rows)) == sorted(f"p{seq}.0" for seq in expected)
            assert matching.examined == 6


@pytest.mark.parametrize("wanted", [TaskFilter(), TaskFilter(order=TaskOrder.OLDEST), TaskFilter(text="thing")])
async def test_pages_follow_each_other(wanted: TaskFilter, open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await write_tasks(broker, *map(finished, range(7)), partitions=2)
        async with following(broker, None) as model:
            found: list[StreamRow] = []
            cursor = None
            for size in (3, 3, 1):
                page = await model.tasks(wanted, cursor, 3)
                assert (len(page.tasks), page.total) == (size, 7)
                assert [each.vector for each in page.tasks] == [
                    await model.vector_at(each.task.row) for each in page.tasks
                ]
                found += [each.task for each in page.tasks]
                cursor = page.next
            assert cursor is None
            rows = [row.row for row in found]
            assert rows == sorted(range(1, 8), reverse=wanted.order is TaskOrder.NEWEST)


async def test_matching_rows_say_how_far_they_looked(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        await write_tasks(broker, *map(finished, range(6)))
        async with following(broker, None) as model:
            wanted = TaskFilter(topic="rivers")
            first = await model.matching_rows(wanted, 0, 2)
            assert (ids(first.rows), first.examined) == (["p0.0", "p2.0"], 3)
            second = await model.matching_rows(wanted, first.examined, 2)
            assert (ids(second.rows), second.examined) == (["p4.0"], 6)
            assert await model.matching_rows(wanted, 6, 2) == type(second)((), 6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("danube", [0]),
        ("DANUBE", [0]),
        ("danu", [0]),
        ("danu flows", []),
        ("flows danu", [0]),
        ("vienna", [0]),
        ("cafe", [1]),
        ("behind", [2]),
        ('"flows through"', [0]),
        ('"through flows"', []),
        ('"danu"', []),
        ("river AND NOT danube", []),
        ("instruction:danube", []),
        ("日本", [3]),
        ('"', []),
        ("  ", [3, 2, 1, 0]),
        ("***", []),
        ("dan\0ube\ud800", []),
        ("(danube)", [0]),
        ("x" * 10_000, []),
        ("danube " * 1_000, [0]),
    ],
)
async def test_a_text_is_found(text: str, expected: list[int], open_broker: OpenBroker) -> None:
    tasks = (
        finished(0, "Say where the Danube flows through", "Vienna"),
        finished(1, "Draw a café"),
        finished(2, "Hide it\0behind a NUL"),
        finished(3, "日本語で書く"),
    )
    async with open_broker() as broker:
        await write_tasks(broker, *tasks)
        async with following(broker, None) as model:
            page = await model.tasks(TaskFilter(text=text))
            assert ids([each.task for each in page.tasks]) == [f"p{seq}.0" for seq in expected]
            assert page.total == len(expected)
