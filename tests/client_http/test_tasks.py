"""The client of a live service: streams over real HTTP that are cut, refused, ended and begun again."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from service.client.http import HttpTasks, LiveService, ServiceError, StreamOptions, TaskFilter, open_tasks_http
from service.client.http.lines import Lines
from service.errors import ConfigurationError
from service.lm.backoff import Backoff
from service.web.server.stream_slots import StreamSlots
from service.web.streams.formats import JSON_LINES
from service.web.streams.handler import Times
from tests.client_http.cutting_proxy import CuttingProxy
from tests.support.examples import finished
from tests.support.logs import DEADLINE_S, RUN
from tests.web.streams.rows import RowsInMemory
from tests.web.streams.served import served

pytestmark = pytest.mark.anyio

AT_ONCE = StreamOptions(until_end=True, backoff=Backoff(base_s=0.0))


def some(count: int, partitions: int = 1) -> RowsInMemory:
    model = RowsInMemory()
    model.add(*map(finished, range(count)), partitions=partitions)
    return model


@asynccontextmanager
async def opened(url: str, options: StreamOptions = AT_ONCE) -> AsyncIterator[HttpTasks]:
    with anyio.fail_after(DEADLINE_S):
        async with LiveService.open(url) as service, service.tasks(RUN, options) as tasks:
            yield tasks


async def seqs(url: str, options: StreamOptions = AT_ONCE) -> list[int]:
    async with opened(url, options) as tasks:
        return [task.task_seq async for task in tasks]


async def test_a_stream_gives_tasks_and_positions() -> None:
    async with served(some(3)) as service, open_tasks_http(service.url, RUN, until_end=True) as tasks:
        assert tasks.position == "0-0"
        found = [(task, tasks.position) async for task in tasks]
    assert found == [(finished(0), "0-1"), (finished(1), "0-3"), (finished(2), "0-5")]


@settings(max_examples=40)
@given(
    cuts=st.lists(st.integers(0, 6_000), max_size=8),
    order=st.permutations(range(6)),
    compressed=st.booleans(),
    when=st.integers(0, 6),
)
async def test_cuts_at_any_byte_lose_and_double_nothing(
    cuts: list[int],
    order: list[int],
    compressed: bool,  # noqa: FBT001 - drawn
    when: int,
) -> None:
    """The read model is made again in another order after a number of tasks, which keeps that of each partition."""
    model = some(6, partitions=2)
    by_partition = sorted(range(6), key=lambda seq: (order.index(seq % 2), seq))
    async with served(model) as service, CuttingProxy.open(service.url, cuts) as proxy:
        found = []
        async with opened(proxy.url, structs.replace(AT_ONCE, compressed=compressed)) as tasks:
            async for task in tasks:
                found.append(task.task_seq)
                if len(found) == when:
                    model.reorder(by_partition)
    assert sorted(found) == list(range(6))
    for partition in range(2):
        assert [seq for seq in found if seq % 2 == partition] == [partition, partition + 2, partition + 4]


async def test_a_restart_with_rows_in_another_order_is_bridged() -> None:
    model, again = some(4, partitions=2), some(6, partitions=2)
    again.reorder((1, 3, 5, 0, 2, 4))
    found: list[int] = []
    async with AsyncExitStack() as first, anyio.create_task_group() as works:
        service = await first.enter_async_context(served(model))
        works.start_soon(_seqs_into, service.url, StreamOptions(backoff=Backoff(base_s=0.01, cap_s=0.05)), found)
        await _until(lambda: len(found) == 4)
        await first.aclose()
        async with served(again, port=int(service.url.rpartition(":")[2])):
            await _until(lambda: len(found) == 6)
            works.cancel_scope.cancel()
    assert found == [0, 1, 2, 3, 5, 4]


async def _seqs_into(url: str, options: StreamOptions, found: list[int]) -> None:
    async with opened(url, options) as tasks:
        async for task in tasks:
            found.append(task.task_seq)  # noqa: PERF401 - as they come


async def _until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(DEADLINE_S):
        while not holds():  # noqa: ASYNC110 - looked at from outside
            await anyio.sleep(0.01)


async def test_a_wait_that_is_cancelled_loses_nothing() -> None:
    model = some(1)
    async with served(model) as service, opened(service.url, StreamOptions()) as tasks:
        assert (await anext(tasks)).task_seq == 0
        with anyio.move_on_after(0.05):
            await anext(tasks)
        model.add(finished(1), finished(2))
        assert [(await anext(tasks)).task_seq for _ in range(2)] == [1, 2]


async def test_a_kept_position_goes_on_with_the_next_task() -> None:
    async with served(some(5, partitions=2)) as service:
        async with opened(service.url) as tasks:
            first = [(await anext(tasks)).task_seq for _ in range(3)]
            position = tasks.position
        assert first + await seqs(service.url, structs.replace(AT_ONCE, start=position)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("start", "expected"),
    [("now", []), ("beginning", [0, 1, 2]), (datetime.fromtimestamp(0, UTC) + timedelta(seconds=2), [2])],
)
async def test_a_stream_begins_where_it_is_told(start: str | datetime, expected: list[int]) -> None:
    async with served(some(3)) as service:
        assert await seqs(service.url, structs.replace(AT_ONCE, start=start)) == expected


async def test_a_filter_is_the_service_s() -> None:
    model = RowsInMemory()
    model.add(*(structs.replace(finished(seq), is_classification=seq > 1) for seq in range(4)))
    async with served(model) as service:
        assert await seqs(service.url, structs.replace(AT_ONCE, wanted=TaskFilter(classification="yes"))) == [2, 3]


@pytest.mark.parametrize(
    ("options", "said"),
    [({"start": "tomorrow"}, "400 from .*tomorrow"), ({"wanted": TaskFilter(depth=-1)}, "400 from")],
)
async def test_a_refusal_is_raised_at_once(options: dict[str, str], said: str) -> None:
    async with served(some(1)) as service:
        with pytest.raises(ServiceError, match=said):
            await seqs(service.url, StreamOptions(**options))  # type: ignore[arg-type]


async def test_a_full_service_is_asked_again() -> None:
    async with served(some(1), slots=StreamSlots(0, 1)) as service:
        with pytest.raises(ServiceError, match=r"503 from .*at most 0 open streams") as caught:
            await seqs(service.url, structs.replace(AT_ONCE, give_up_s=0.0))
    assert (caught.value.may_pass, caught.value.retry_after_s, caught.value.status) == (True, 10.0, 503)


async def test_a_service_that_is_not_there_is_given_up() -> None:
    async with served(some(1)) as service:
        url = service.url
    with pytest.raises(ServiceError, match="the connection to the service failed"):
        await seqs(url, structs.replace(AT_ONCE, give_up_s=0.05))


@pytest.mark.parametrize("url", ["localhost:8765", "ftp://x", "http://", "http://user@x", "http://x/?a=b", "http://["])
async def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="expected http://HOST:PORT"):
        await seqs(url)


async def test_a_slow_reader_is_dropped_while_others_go_on() -> None:
    model = some(1)
    big = "x" * 50_000
    async with served(model, Times(patience_s=0.1)) as service:
        found: list[int] = []
        options = StreamOptions(backoff=Backoff(base_s=0.0))
        async with opened(service.url, options) as slow, anyio.create_task_group() as works:
            works.start_soon(_seqs_into, service.url, options, found)
            seq, opened_streams = 0, {0}
            while not {1, 2} <= opened_streams or len(found) <= seq:
                opened_streams.add(service.slots.open_streams)
                if service.slots.open_streams == 2 or 2 not in opened_streams:
                    seq += 1
                    model.add(structs.replace(finished(seq), instruction=big))
                await anyio.sleep(0.01)
            assert found == list(range(seq + 1))
            assert [(await anext(slow)).task_seq for _ in range(seq + 1)] == found
            works.cancel_scope.cancel()


@given(st.lists(st.integers(0, 400), max_size=12))
def test_lines_are_the_same_in_any_pieces(places: list[int]) -> None:
    body = JSON_LINES.beginning("0-0", 0) + JSON_LINES.task("0-1", finished(0).to_json()) + JSON_LINES.end("0-1")
    edges = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    lines = Lines()
    found = [line for begin, end in pairwise(edges) for line in lines.of(body[begin:end])]
    assert [(line.id, line.task, line.end) for line in found] == [
        ("0-0", None, False),
        ("0-1", finished(0), False),
        ("0-1", None, True),
    ]


@pytest.mark.parametrize("line", [b"no JSON\n", b'{"task":{"id":1}}\n', b"[" * 100_000 + b"\n"])
def test_a_line_of_something_else_is_refused(line: bytes) -> None:
    with pytest.raises(ServiceError, match="expected a line of a stream of tasks"):
        list(Lines().of(line))
