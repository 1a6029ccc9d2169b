"""Streams of finished tasks to many clients of a live service, over a restart of it.

    python -m benchmarks.web_streams                                  # 200 clients, 100 tasks/s, 30 s, 20 slow readers
    python -m benchmarks.web_streams --clients 50 --rate 500 --seconds 10 --slow 0

This process writes tasks to an embedded log, as the last stage of a run does, and follows them with clients that read
server-sent events. `seedstream web` serves the log in another process; in the middle it is ended by SIGTERM and begun
again. Latency is the time from the commit of a record to the read that completes its event at a client. Tasks that were
written while no server was ready are counted apart. Slow readers open a stream and never read it.
"""

import argparse
import asyncio
import re
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import anyio
from anyio import to_thread

from benchmarks.machine import load, log_warnings_only
from benchmarks.measured import Usage, running
from service.adapters.sqlite import SqliteBroker
from service.messaging import codec, topics
from service.messaging.broker import Broker
from service.messaging.messages import FinishedTask, GoalSet, Provenance, RunDefined
from service.selfinstruct.recipe import SELF_INSTRUCT
from service.selfinstruct.tasks import Instance
from service.selfinstruct.templates import Templates

_RUN = "bench"
_EVENT = re.compile(rb'id: ([0-9.-]+)\nevent: task\ndata: \{"task_seq":([0-9]+),')
_READY_S, _LATE_S, _PAUSE_S = 60.0, 60.0, 0.1
_MS = 1e3
_ESTABLISHED = 1
_SLOW_BUFFER_BYTES = 16 * 1024
_TEMPLATES = Templates(
    "{{demonstrations}}", "{{demonstrations}}", "{{instruction}}", "{{instruction}}", "{{instruction}}", ""
)
_PROVENANCE = Provenance(
    prompt_id="p0", parents=tuple(f"s{n}" for n in range(8)), depth=1, recipe="r", templates="t", model="stub"
)


@dataclass
class Client:
    """A client that follows all tasks, and remembers when each came."""

    came_s: list[float] = field(default_factory=list)
    wrong: list[tuple[int, int]] = field(default_factory=list)
    last_id: bytes = b""
    connections: int = 0

    async def follow(self, session: aiohttp.ClientSession, url: str) -> None:
        """Read until cancelled; connect again when the stream ends."""
        while True:
            headers = {"Accept": "text/event-stream", "Last-Event-ID": self.last_id.decode()}
            with suppress(aiohttp.ClientError, OSError):
                async with session.get(url, headers=headers) as response:
                    response.raise_for_status()
                    self.connections += 1
                    await self._read(response)
            await anyio.sleep(_PAUSE_S)

    async def _read(self, response: aiohttp.ClientResponse) -> None:
        rest = b""
        async for piece in response.content.iter_any():
            whole, end, rest = (rest + piece).rpartition(b"\n\n")
            now_s = time.monotonic()
            for position, seq in _EVENT.findall(whole + end):
                if int(seq) != len(self.came_s):
                    self.wrong.append((int(seq), len(self.came_s)))
                self.came_s.append(now_s)
                self.last_id = position


def task(seq: int) -> FinishedTask:
    """Return a task of about a kilobyte."""
    text = f"Describe subject {seq} in a few sentences for a reader who has never heard of it. "
    return FinishedTask(
        task_seq=seq,
        id=f"p{seq}.0",
        instruction=text,
        is_classification=False,
        instances=(Instance(f"Subject {seq}", text * 7),),
        pool_seq=seq,
        provenance=_PROVENANCE,
    )


async def write(broker: Broker, plan: argparse.Namespace, written_s: list[float]) -> None:
    """Write tasks, each in a transaction, at the rate that is asked for or as fast as it goes; add their times."""
    started_s = time.monotonic()
    async with broker.transactional_producer("finish") as producer:
        while time.monotonic() < started_s + plan.seconds:
            seq = len(written_s)
            await anyio.sleep(max(0.0, started_s + seq / plan.rate - time.monotonic()))
            await producer.begin()
            await producer.send([codec.encode(task(seq), _RUN)])
            await producer.commit()
            written_s.append(time.monotonic())


async def slow_reader(port: int) -> None:
    """Open a stream and never read it; begin again when the server has closed it."""
    request = f"GET /v1/runs/{_RUN}/tasks HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\n\r\n"
    loop = asyncio.get_running_loop()
    while True:
        with suppress(OSError), socket.socket() as connection:
            connection.settimeout(0.0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SLOW_BUFFER_BYTES)
            await loop.sock_connect(connection, ("127.0.0.1", port))
            await loop.sock_sendall(connection, request.encode())
            # A socket that is not read tells of nothing: it has to be asked.
            while connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED:  # noqa: ASYNC110
                await anyio.sleep(1.0)
        await anyio.sleep(1.0)


@asynccontextmanager
async def server(folder: Path, port: int, usages: list[Usage], dropped: list[int]) -> AsyncIterator[None]:
    """Serve the log in another process, from when it answers on."""
    command = [sys.executable, "-m", "service", "web", "--broker", f"sqlite:{folder}", "--web-port", str(port)]
    messages = folder / "messages"
    messages.mkdir(exist_ok=True)
    with running(command, messages) as started:
        try:
            await _ready(f"http://127.0.0.1:{port}/v1/runs/{_RUN}")
            yield
        finally:
            started.stop()
            usages.append(await to_thread.run_sync(started.usage))
            text = await to_thread.run_sync((messages / "stderr.txt").read_text)
            dropped.append(text.count("stream.slow_reader"))


async def _ready(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        with anyio.fail_after(_READY_S):
            while True:
                with suppress(aiohttp.ClientError, OSError):
                    async with session.get(url) as response:
                        if response.ok:
                            return
                await anyio.sleep(_PAUSE_S)


@dataclass(frozen=True)
class Measured:
    """A measurement. `away_s` are the times at which the first server was told to end, and the second was ready."""

    written_s: Sequence[float]
    clients: Sequence[Client]
    usages: Sequence[Usage]
    dropped: Sequence[int]
    away_s: tuple[float, float]

    def report(self) -> str:
        """Return the figures as text."""
        before, away, after = self._latencies()
        connections = Counter(client.connections for client in self.clients)
        tasks, clients = len(self.written_s), len(self.clients)
        lines = [
            f"{tasks:,} tasks to {clients:,} clients: {self._missing():,} lost or doubled",
            f"clients by number of connections: {dict(connections)}",
            f"latency before the restart: {_spread(before)}",
            f"latency after it:           {_spread(after)}",
            f"tasks while no server was ready for {self.away_s[1] - self.away_s[0]:.1f} s: {_spread(away)}",
        ]
        for number, (usage, dropped) in enumerate(zip(self.usages, self.dropped, strict=True), 1):
            share = usage.cpu_s / usage.wall_s
            lines.append(
                f"server {number}: {usage.rss_mib:.0f} MiB at most, {share:.0%} of a core in {usage.wall_s:.0f} s, "
                f"exit code {usage.exit_code}, {dropped} slow readers dropped"
            )
        return "\n".join(lines)

    def _missing(self) -> int:
        return sum(len(client.wrong) + abs(len(client.came_s) - len(self.written_s)) for client in self.clients)

    def _latencies(self) -> tuple[list[float], list[float], list[float]]:
        before: list[float] = []
        away: list[float] = []
        after: list[float] = []
        for client in self.clients:
            for written_s, came_s in zip(self.written_s, client.came_s, strict=False):
                if came_s < self.away_s[0]:
                    before.append(came_s - written_s)
                else:
                    (after if written_s > self.away_s[1] + 1 else away).append(came_s - written_s)
        return sorted(before), sorted(away), sorted(after)


def _spread(latencies: Sequence[float]) -> str:
    if not latencies:
        return "none"
    p50, p99 = (latencies[int(share * (len(latencies) - 1))] * _MS for share in (0.5, 0.99))
    return f"p50 {p50:,.0f} ms, p99 {p99:,.0f} ms, most {latencies[-1] * _MS:,.0f} ms, of {len(latencies):,}"


async def measure(plan: argparse.Namespace, folder: Path) -> Measured:
    """Write and follow tasks over a restart of the server."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    clients = [Client() for _ in range(plan.clients)]
    url = f"http://127.0.0.1:{port}/v1/runs/{_RUN}/tasks"
    written_s: list[float] = []
    usages: list[Usage] = []
    dropped: list[int] = []
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        SqliteBroker.open(folder / f"{_RUN}.sqlite3") as broker,
        aiohttp.ClientSession(connector=connector, skip_auto_headers=["Accept-Encoding"]) as session,
        anyio.create_task_group() as works,
    ):
        await define(broker)
        async with server(folder, port, usages, dropped):
            for _ in range(plan.slow):
                works.start_soon(slow_reader, port)
            for client in clients:
                works.start_soon(client.follow, session, url)
            await _until(lambda: all(client.connections for client in clients), _READY_S)
            begun_s = time.monotonic()
            works.start_soon(write, broker, plan, written_s)
            await anyio.sleep(plan.seconds / 2)
            ends_s = time.monotonic()
        async with server(folder, port, usages, dropped):
            ready_s = time.monotonic()
            await anyio.sleep(max(0.0, begun_s + plan.seconds + 1 - ready_s))
            await _until(lambda: all(len(each.came_s) >= len(written_s) for each in clients), _LATE_S)
        works.cancel_scope.cancel()
    return Measured(written_s, clients, usages, dropped, (ends_s, ready_s))


async def _until(holds: Callable[[], bool], timeout_s: float) -> None:
    with anyio.move_on_after(timeout_s):
        while not holds():  # noqa: ASYNC110 - looked at from outside
            await anyio.sleep(_PAUSE_S)


async def define(broker: Broker) -> None:
    """Create the topics of the run, and define it."""
    await broker.create_topics(topics.specs(_RUN, 1))
    defined = RunDefined(
        run=_RUN,
        recipe=SELF_INSTRUCT,
        templates=_TEMPLATES,
        seeds="s",
        seed_count=8,
        random_seed=0,
        made_by="benchmarks.web_streams",
    )
    async with broker.producer() as producer:
        await producer.send([codec.encode(each, _RUN) for each in (defined, GoalSet(run=_RUN, target=1_000_000))])


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rate", type=float, default=100.0, help="tasks a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--slow", type=int, default=20, help="clients that read nothing")
    plan = parser.parse_args()
    log_warnings_only()
    with tempfile.TemporaryDirectory() as folder:
        measured = asyncio.run(measure(plan, Path(folder)))
    print(load(), measured.report(), sep="\n")


if __name__ == "__main__":
    main()
