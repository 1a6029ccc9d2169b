"""Streams of finished tasks over real HTTP, with the rows of a read model in memory."""

import asyncio
import errno
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import anyio
import pytest
from msgspec import structs

from service.selfinstruct.tasks import Instance
from service.web.server.stream_slots import StreamSlots
from service.web.streams.handler import Times
from tests.support.examples import finished
from tests.support.logs import DEADLINE_S
from tests.web.streams.rows import RowsInMemory
from tests.web.streams.served import OneToken, Service, served

pytestmark = pytest.mark.anyio

_SSE, _LINES = {"Accept": "text/event-stream"}, {"Accept": "application/x-ndjson"}
_UNTIL_END = {"follow": "false"}


@asynccontextmanager
async def requested(
    service: Service, headers: dict[str, str], query: dict[str, str] | None = None
) -> AsyncIterator[aiohttp.ClientResponse]:
    with anyio.fail_after(DEADLINE_S):
        async with (
            aiohttp.ClientSession(skip_auto_headers=["Accept-Encoding"]) as session,
            session.get(service.tasks_url, headers=headers, params=query or {}) as response,
        ):
            yield response


@asynccontextmanager
async def at(url: str) -> AsyncIterator[aiohttp.ClientResponse]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=_SSE) as response:
        yield response


async def text_of(service: Service, headers: dict[str, str], query: dict[str, str] | None = None) -> str:
    """Return a stream up to its end."""
    async with requested(service, headers, {**_UNTIL_END, **(query or {})}) as response:
        assert response.status == 200, await response.text()
        return (await response.read()).decode()


async def lines_of(service: Service, **query: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (await text_of(service, _LINES, query)).split("\n")[:-1]]


def seqs_of(lines: list[dict[str, Any]]) -> list[int]:
    return [line["task"]["task_seq"] for line in lines if "task" in line]


async def reached(holds: Callable[[], bool]) -> None:
    """Wait until a state is reached."""
    with anyio.fail_after(DEADLINE_S):
        while not holds():  # noqa: ASYNC110 - looked at from outside
            await anyio.sleep(0.01)


def some(count: int, partitions: int = 1, value: bytes | None = None) -> RowsInMemory:
    model = RowsInMemory()
    model.add(*map(finished, range(count)), partitions=partitions, value=value)
    return model


async def test_events_carry_positions_and_the_record_of_the_log() -> None:
    async with served(some(2)) as service:
        text = await text_of(service, _SSE)
    beginning, *events, rest = text.split("\n\n")
    assert beginning.split("\n")[0].startswith("retry: ")
    assert beginning.split("\n")[1] == "id: 0-0"
    first = finished(0).to_json().decode()
    assert events[0] == f"id: 0-1\nevent: task\ndata: {first}"
    assert events[1].startswith("id: 0-3\nevent: task\n")
    assert (events[2], rest) == ('id: 0-3\nevent: end\ndata: {"id":"0-3"}', "")


async def test_lines_carry_positions_and_tasks() -> None:
    async with served(some(3, partitions=2)) as service:
        lines = await lines_of(service)
    assert [line["id"] for line in lines] == ["0-0", "0-1", "0-1.1-1", "0-3.1-1", "0-3.1-1"]
    assert lines[1]["task"] == json.loads(finished(0).to_json())
    assert lines[-1] == {"id": "0-3.1-1", "end": True}


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/event-stream", "text/event-stream"),
        ("application/json;q=0.5, application/x-ndjson", "application/x-ndjson"),
        ("text/*", "text/event-stream"),
        ("application/x-ndjson;q=0, text/event-stream;q=0.1, */*;q=0", "text/event-stream"),
    ],
)
async def test_the_client_chooses_the_format(accept: str, kind: str) -> None:
    async with served(some(1)) as service, requested(service, {"Accept": accept}, _UNTIL_END) as response:
        assert response.headers["Content-Type"] == f"{kind}; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Accel-Buffering"] == "no"
        assert "Content-Encoding" not in response.headers


async def test_a_client_that_accepts_neither_gets_406() -> None:
    async with served(some(1)) as service, requested(service, {"Accept": "image/png"}) as response:
        assert response.status == 406
        assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"from": "yesterday"}, "from: expected beginning, live, a time with its offset"),
        ({"after": "0-01"}, "got '0-01'"),
        ({"after": "0-3"}, "up to the end of the log (0-2), got 0-3"),
        ({"after": "0-1.7-1"}, "up to the end of the log (0-2), got 0-1.7-1"),
        ({"from": "2026-01-31T12:00:00"}, "a time with its offset"),
        ({"form": "live"}, "unknown field `form`"),
        ({"follow": "perhaps"}, "follow"),
        ({"depth": "-1"}, "depth"),
        ({"min_distance": "nan"}, "min_distance"),
        ({"classification": "maybe"}, "classification"),
        ({"cursor": "3"}, "unknown field `cursor`"),
    ],
)
async def test_a_wrong_parameter_is_refused_before_the_stream(query: dict[str, str], said: str) -> None:
    async with served(some(1)) as service, requested(service, _SSE, query) as response:
        assert (response.status, response.headers["Content-Type"]) == (400, "application/problem+json")
        assert said in (await response.json(content_type=None))["detail"]


async def test_a_doubled_parameter_is_refused() -> None:
    async with served(some(1)) as service, at(f"{service.tasks_url}?after=0-1&after=0-2") as response:
        assert response.status == 400


async def test_a_run_that_does_not_exist_is_404() -> None:
    async with served(some(1)) as service, at(f"{service.url}/v1/runs/other/tasks") as response:
        assert response.status == 404


@pytest.mark.parametrize(
    ("query", "seqs"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"from": "beginning"}, [0, 1, 2, 3, 4]),
        ({"from": "live"}, []),
        ({"from": "1970-01-01T00:00:02.5Z"}, [3, 4]),
        ({"from": "1970-01-01T02:00:03+02:00"}, [3, 4]),
        ({"from": "2100-01-01T00:00:00Z"}, []),
        ({"from": "0-0"}, [0, 1, 2, 3, 4]),
        ({"from": "0-1.1-1"}, [2, 3, 4]),
        ({"after": "0-3"}, [1, 3, 4]),
        ({"after": "0-3", "from": "live"}, [1, 3, 4]),
        ({"after": "0-5.1-3"}, []),
    ],
)
async def test_a_stream_begins_where_it_is_told(query: dict[str, str], seqs: list[int]) -> None:
    async with served(some(5, partitions=2)) as service:
        assert seqs_of(await lines_of(service, **query)) == seqs


async def test_the_last_event_id_wins() -> None:
    async with served(some(3)) as service:
        text = await text_of(service, {**_SSE, "Last-Event-ID": "0-3"}, {"from": "beginning", "after": "0-1"})
    assert [line for line in text.split("\n") if line.startswith("id:")] == ["id: 0-3", "id: 0-5", "id: 0-5"]


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (1, 3, 5, 0, 2, 4), (0, 2, 4, 1, 3, 5), (1, 0, 2, 3, 5, 4)])
async def test_each_position_resumes_in_a_model_of_another_order(order: tuple[int, ...]) -> None:
    model = some(6, partitions=2)
    async with served(model) as service:
        lines = await lines_of(service)
        model.reorder(order)
        for place, line in enumerate(lines[:-1]):
            again = await lines_of(service, after=line["id"])
            assert sorted(seqs_of(lines[: place + 1]) + seqs_of(again)) == [0, 1, 2, 3, 4, 5]
            assert again[-1]["id"] == "0-5.1-5"


async def test_a_model_made_again_under_a_stream_loses_nothing() -> None:
    model = some(4, partitions=2)
    async with served(model) as service, requested(service, _LINES) as response:
        lines = [json.loads(await response.content.readline()) for _ in range(5)]
        model.reorder((1, 3, 0, 2))
        model.add(finished(4), finished(5), partitions=2)
        lines += [json.loads(await response.content.readline()) for _ in range(2)]
    assert seqs_of(lines) == [0, 1, 2, 3, 4, 5]


async def test_a_stream_follows_the_run() -> None:
    model = some(1)
    async with served(model) as service, requested(service, _LINES, {"from": "live"}) as response:
        assert json.loads(await response.content.readline()) == {"id": "0-1"}
        for seq in range(1, 4):
            model.add(finished(seq))
            assert seqs_of([json.loads(await response.content.readline())]) == [seq]


async def test_many_streams_share_what_one_has_read() -> None:
    model = some(1_000)
    async with served(model) as service:
        assert len(await lines_of(service)) == 1_002
        model.reads = 0
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(lines_of, service)
    assert model.reads <= 4


async def test_a_filter_leaves_out_tasks_and_moves_the_position() -> None:
    model = RowsInMemory()
    model.add(*(structs.replace(finished(seq), is_classification=seq % 3 == 0) for seq in range(9)), partitions=2)
    async with served(model) as service:
        lines = await lines_of(service, classification="yes")
        assert seqs_of(lines) == [0, 3, 6]
        assert lines[-1]["id"] == "0-9.1-7"
        for place, line in enumerate(lines):
            again = await lines_of(service, classification="yes", after=line["id"])
            assert seqs_of(lines[: place + 1]) + seqs_of(again) == [0, 3, 6]


async def test_a_filtered_stream_without_matches_sends_its_position() -> None:
    model = some(3)
    asked = {"classification": "yes"}
    async with served(model, Times(heartbeat_s=0.05)) as service, requested(service, _SSE, asked) as response:
        assert (await response.content.readuntil(b"\n\n")).endswith(b"id: 0-0\n\n")
        while (event := await response.content.readuntil(b"\n\n")) != b": heartbeat\nid: 0-5\n\n":
            assert event.startswith(b": heartbeat\n")
        model.add(structs.replace(finished(3), is_classification=True))
        while b"event: task" not in (event := await response.content.readuntil(b"\n\n")):
            assert event.startswith(b": heartbeat\n")
        assert event.startswith(b"id: 0-7\n")


_HOSTILE = "a\nb\r\nc\u2028d\u2029e\u0085f\0g</script>\udc80\nevent: end\ndata: x\n\n\U0001f600"


@pytest.mark.parametrize("accept", [_SSE, _LINES])
async def test_hostile_text_stays_in_its_line(accept: dict[str, str]) -> None:
    text = _HOSTILE.replace("\udc80", "")
    task = structs.replace(finished(0), instruction=text, instances=(Instance("", text + "x" * 1_000_000),))
    model = RowsInMemory()
    model.add(task)
    model.add(finished(1), value=json.dumps(json.loads(task.to_json()), indent=1, ensure_ascii=False).encode())
    async with served(model) as service:
        body = await text_of(service, accept)
    lines = [line for line in body.splitlines() if "task_seq" in line]
    assert len(lines) == 2
    for line in lines:
        found = json.loads(line.removeprefix("data: "))
        assert found.get("task", found)["instances"][0]["output"] == text + "x" * 1_000_000
    assert body.count("\nevent: end") == (accept is _SSE)


async def test_a_compressed_stream_is_flushed_at_each_batch() -> None:
    model = some(1)
    headers = {**_LINES, "Accept-Encoding": "br, gzip;q=0.5"}
    async with served(model) as service, requested(service, headers) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        lines = [json.loads(await response.content.readline()) for _ in range(2)]
        model.add(finished(1))
        lines.append(json.loads(await response.content.readline()))
        service.drain.begin()
        assert await response.content.read() == b""
    assert seqs_of(lines) == [0, 1]


async def test_a_drain_ends_streams_behind_a_whole_event() -> None:
    model = some(1)
    async with served(model) as service, requested(service, _SSE) as response:
        await response.content.readuntil(b"\n\n")
        await response.content.readuntil(b"\n\n")
        service.drain.begin()
        assert await response.content.read() == b""
        assert service.slots.open_streams == 0


async def test_the_end_of_the_run_here_is_an_error_event() -> None:
    async with served(some(0)) as service, requested(service, _SSE) as response:
        await response.content.readuntil(b"\n\n")
        service.live.closed.set()
        event = (await response.content.read()).decode()
    assert event.startswith('event: error\ndata: {"type":"about:blank","title":"Service Unavailable","status":503,')
    assert event.endswith("}\n\n")


async def test_a_stream_ends_with_its_token() -> None:
    token = OneToken(is_asked_for=True)
    async with served(some(1), Times(look_s=0.01), token=token) as service, requested(service, _LINES) as response:
        assert seqs_of([json.loads(await response.content.readline()) for _ in range(2)]) == [0]
        token.is_valid = False
        assert json.loads(await response.content.read())["error"]["status"] == 401


async def test_a_client_that_does_not_read_does_not_hold_up_the_end() -> None:
    model = some(200, value=b'"' + b"x" * 50_000 + b'"')
    with anyio.fail_after(DEADLINE_S / 2):
        async with served(model) as service, requested(service, _LINES):
            await reached(lambda: service.slots.open_streams == 1)
            service.drain.begin()
            await reached(lambda: service.slots.open_streams == 0)


async def test_the_connection_of_a_client_that_does_not_read_is_reset() -> None:
    model = some(200, value=b'"' + b"x" * 50_000 + b'"')
    loop = asyncio.get_running_loop()
    async with served(model, Times(patience_s=0.2)) as service:
        host, _, port = service.url.removeprefix("http://").partition(":")
        with socket.socket() as stuck:
            stuck.setblocking(False)  # noqa: FBT003 - the signature is Python's
            await loop.sock_connect(stuck, (host, int(port)))
            request = f"GET {service.tasks_url} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
            await loop.sock_sendall(stuck, request.encode())
            await reached(lambda: stuck.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET)
        await reached(lambda: service.slots.open_streams == 0)


async def test_too_many_streams_are_refused_until_one_ends() -> None:
    async with served(some(1), slots=StreamSlots(1, 1)) as service:
        async with requested(service, _SSE) as first:
            assert first.status == 200
            async with requested(service, _SSE) as second:
                assert (second.status, second.headers["Retry-After"]) == (503, "10")
        await reached(lambda: service.slots.open_streams == 0)
        assert len(await lines_of(service)) == 3


async def test_a_service_that_ends_takes_no_new_stream() -> None:
    async with served(some(1)) as service:
        service.drain.begin()
        async with requested(service, _SSE) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "1")
