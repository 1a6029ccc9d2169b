"""Throughput of the whole pipeline with the simulator at zero latency, compared with a bare client loop.

    make bench                      # 2,000 finished tasks, 32 calls in flight
    make bench ARGS='500 8'         # tasks, calls in flight

The simulator runs in its own process. CPU is the CPU of the measured process alone. Machines differ and are shared:
compare the ratio to the bare loop, which sends the same number of calls to the same server.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import anyio

from service.adapters.openai import OpenAIEndpoint, OpenAIOptions
from service.adapters.sqlite import SqliteBroker
from service.bootstrap.open_model import AskedModel
from service.lm.dispatch import Dispatcher
from service.messaging import topics
from service.messaging.messages import GoalSet, Message
from service.pipeline.limits import Limits
from service.pipeline.single_process import Pipeline
from service.run.create import define_run
from service.run.definition import AskedRun
from service.settings import load_settings

_PROMPT = "Come up with tasks:\n1. Say hello.\n2. Name a colour.\n3."


@contextmanager
def simulator() -> Iterator[str]:
    """Run the simulator in another process. Yields its base URL."""
    command = [sys.executable, "-m", "service", "simulator", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program
        if process.stderr is None:
            raise AssertionError
        yield process.stderr.readline().split()[-1]
        process.terminate()


async def measured(work: Callable[[], Awaitable[int]]) -> tuple[int, float, float]:
    """Return the count that `work` returns, its seconds, and the CPU seconds of this process."""
    started, cpu = time.perf_counter(), time.process_time()
    count = await work()
    return count, time.perf_counter() - started, time.process_time() - cpu


async def bare_loop(url: str, calls: int, in_flight: int) -> int:
    """Send `calls` calls to the simulator with aiohttp alone."""
    remaining = iter(range(calls))

    async def ask(session: aiohttp.ClientSession) -> None:
        for _ in remaining:
            body = {"model": "seedstream-simulator", "prompt": _PROMPT, "max_tokens": 1024}
            async with session.post(f"{url}/completions", json=body) as response:
                await response.json()

    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(in_flight):
            tasks.start_soon(ask, session)
    return calls


async def pipeline(url: str, target: int, in_flight: int, folder: Path) -> int:
    """Run the pipeline to its target. Returns the number of completions."""
    settings = load_settings({"broker": f"sqlite:{folder}", "lm": "simulator", "target": target})
    definition, seeds = AskedRun(settings).new
    async with (
        SqliteBroker.open(settings.sqlite_file) as broker,
        OpenAIEndpoint(OpenAIOptions(url, "seedstream-simulator", api="completions")) as endpoint,
        Dispatcher.over([endpoint], in_flight).running() as dispatcher,
    ):
        await broker.create_topics(topics.specs(settings.run, 1))
        await define_run(broker, definition, GoalSet(run=settings.run, target=target), seeds)
        running = Pipeline(
            broker,
            definition,
            AskedModel(dispatcher, dispatcher, "simulator"),
            Limits(in_flight, patience=200, drain_s=60.0),
        )
        await running.run(_ignore)
        return sum(spent.attempts for spent in running.progress.spent.values())


async def _ignore(_: Message) -> None:
    pass


async def main(target: int, in_flight: int) -> None:
    """Print the table."""
    with simulator() as url, tempfile.TemporaryDirectory() as folder:
        calls, wall_s, cpu_s = await measured(lambda: pipeline(url, target, in_flight, Path(folder)))
        _, bare_wall_s, bare_cpu_s = await measured(lambda: bare_loop(url, calls, in_flight))
    print(f"{target} finished tasks, {in_flight} calls in flight, {calls} completions")
    print(f"{'':12}{'completions/s':>15}{'CPU ms each':>13}")
    print(f"{'pipeline':12}{calls / wall_s:15.0f}{cpu_s / calls * 1e3:13.2f}")
    print(f"{'bare loop':12}{calls / bare_wall_s:15.0f}{bare_cpu_s / calls * 1e3:13.2f}")
    print(f"{'ratio':12}{bare_wall_s / wall_s:15.2f}{cpu_s / bare_cpu_s:13.2f}")


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]] or [2_000, 32]
    asyncio.run(main(*numbers))
