"""The throughput of the client, with every answer written to the log, compared with a bare aiohttp loop.

    python -m benchmarks.client                          # 32, 128, 256 and 1,000 calls in flight, 500 ms each
    python -m benchmarks.client --in-flight 128 --calls 2000
    python -m benchmarks.client --latency 0 --in-flight 128
    python -m benchmarks.client --faults                 # 5 % 429 with Retry-After 1 and 2 % 500, and no faults
    python -m benchmarks.client --allowed 64             # a server that answers 429 above 64 concurrent calls
    python -m benchmarks.client --calls 100000 --in-flight 1000 --latency 0.1   # memory over many calls

Prompts are written first. Then two clients run in turn. One is a loop that posts each prompt with aiohttp and discards
the answers. The other is a worker that generates as in a run: prompts from the log, admission, retries, parsing, each
answer on the log. Both call the same server, which runs in its own process: `benchmarks.stub`, or the simulator where
it has faults. CPU is the CPU of this process alone.
"""

import argparse
import asyncio
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import orjson

from benchmarks.machine import load, log_warnings_only, simulator
from benchmarks.throughput import stub
from consumers.generate import Generate
from service.adapters.openai import OpenAIEndpoint, OpenAIOptions
from service.adapters.sqlite import SqliteBroker
from service.lm.dispatch import Dispatcher
from service.messaging import codec, topics
from service.messaging.broker import Broker, Isolation, Partition
from service.messaging.messages import Prompt
from service.runtime.session import TimeLimits
from service.runtime.stateless_worker import StatelessWorker
from service.selfinstruct.recipe import SELF_INSTRUCT

_RUN = "bench"
_BATCH = 1_000
_LOOK_EVERY_S = 0.02
_SAMPLE_EVERY = 10_000


@dataclass(frozen=True, slots=True)
class Measured:
    """The time and the CPU that one client took."""

    calls: int
    wall_s: float
    cpu_s: float

    @property
    def per_s(self) -> float:
        """Return answers/s."""
        return self.calls / self.wall_s

    @property
    def cpu_ms(self) -> float:
        """Return milliseconds of CPU for each answer."""
        return self.cpu_s / self.calls * 1e3


async def measured(calls: int, work: Callable[[], Awaitable[None]]) -> Measured:
    """Measure a piece of work."""
    started_s, cpu_s = time.perf_counter(), time.process_time()
    await work()
    return Measured(calls, time.perf_counter() - started_s, time.process_time() - cpu_s)


def prompts(count: int) -> list[Prompt]:
    """Return prompts of the size that they have in a run."""
    shown = "\n".join(f"{number}. Write a short text about subject {number} for readers." for number in range(1, 9))
    return [
        Prompt(
            id=f"p{seq}",
            seq=seq,
            text=f"Come up with a series of tasks (number {seq}):\n{shown}\n9.",
            demonstrations=("s0",),
            depth=1,
            recipe="r",
            templates="t",
        )
        for seq in range(count)
    ]


async def bare_loop(url: str, asked: Sequence[Prompt], in_flight: int) -> None:
    """Send the prompts with aiohttp alone."""
    remaining = iter(asked)
    sampling = SELF_INSTRUCT.instruction_sampling

    async def ask(session: aiohttp.ClientSession) -> None:
        for prompt in remaining:
            body = {"model": "m", "prompt": prompt.text, "max_tokens": sampling.max_tokens, "stop": sampling.stop[:4]}
            async with session.post(f"{url}/completions", json=body) as response:
                orjson.loads(await response.read())

    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(in_flight):
            tasks.start_soon(ask, session)


@asynccontextmanager
async def written(asked: Sequence[Prompt]) -> AsyncIterator[Broker]:
    """Open a log with these prompts on it."""
    with tempfile.TemporaryDirectory() as folder:
        async with SqliteBroker.open(Path(folder) / "bench.sqlite3") as broker:
            await broker.create_topics(topics.specs(_RUN, 1))
            async with broker.producer() as producer:
                for start in range(0, len(asked), _BATCH):
                    await producer.send([codec.encode(each, _RUN) for each in asked[start : start + _BATCH]])
            yield broker


async def worker(url: str, broker: Broker, calls: int, in_flight: int) -> Dispatcher:
    """Let a worker generate until every prompt has its answer on the log. Returns the dispatcher of its calls."""
    results = Partition(topics.CANDIDATES.of(_RUN), 0)
    options = OpenAIOptions(url, "seedstream-simulator", api="completions", dialect="generic")
    async with OpenAIEndpoint(options) as endpoint, Dispatcher.over([endpoint], in_flight).running() as dispatcher:
        drain = anyio.Event()
        async with anyio.create_task_group() as tasks:
            running = StatelessWorker(
                Generate(dispatcher, SELF_INSTRUCT), broker, _RUN, dispatcher.slots, TimeLimits(60.0)
            )
            tasks.start_soon(running.run, drain)
            sampled = 0
            while (done := await broker.end_offset(results, Isolation.READ_COMMITTED)) < calls:
                if done >= sampled + _SAMPLE_EVERY:
                    sampled = done
                    print(f"  {done:8,} answers, {_peak_mib():.0f} MiB at most")
                await anyio.sleep(_LOOK_EVERY_S)
            drain.set()
    return dispatcher


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def compare(latency_s: float, in_flight: int, calls: int | None = None) -> tuple[Measured, Measured]:
    """Measure the bare loop and the worker on one server."""
    asked = prompts(calls or max(2_000, 20 * in_flight))
    with stub(latency_s, len(asked), "tasks") as url:
        bare = await measured(len(asked), lambda: bare_loop(url, asked, in_flight))
        async with written(asked) as broker:
            return bare, await measured(len(asked), _asked(url, broker, len(asked), in_flight))


def show(latency_s: float, in_flight: int, bare: Measured, ours: Measured) -> None:
    """Print them side by side."""
    ideal = f"{in_flight / latency_s:7.0f}" if latency_s else "      -"
    print(
        f"{in_flight:9,}{ours.calls:9,}{ideal}{bare.per_s:9.1f}{bare.cpu_ms:7.2f}{ours.per_s:11.1f}{ours.cpu_ms:7.2f}"
        f"{ours.per_s / bare.per_s:8.3f}{_peak_mib():8.0f}"
    )


def _asked(url: str, broker: Broker, calls: int, in_flight: int) -> Callable[[], Awaitable[None]]:
    async def work() -> None:
        await worker(url, broker, calls, in_flight)

    return work


async def throughput(plan: argparse.Namespace) -> None:
    """Print a line for each number of calls in flight."""
    print(f"{plan.latency * 1000:.0f} ms a call; {load()}")
    print(f"{'':25}{'bare loop':>16}{'worker':>18}")
    print(f"{'in flight':>9}{'calls':>9}{'ideal':>7}{'/s':>9}{'ms':>7}{'/s':>11}{'ms':>7}{'ratio':>8}{'MiB':>8}")
    for in_flight in plan.in_flight:
        show(plan.latency, in_flight, *await compare(plan.latency, in_flight, plan.calls))


async def faults(plan: argparse.Namespace) -> None:
    """Print the rate with failures that do not depend on load, and the rate without any."""
    in_flight = plan.in_flight[0]
    asked = prompts(plan.calls or 8_000)
    rates: dict[str, float] = {}
    common = ("--time-to-first-token", f"{int(plan.latency * 1000)}ms")
    injected = ("--failure-types", "rate_limit:5", "--failure-types", "internal_error:2", "--retry-after", "1")
    for name, options in {"no faults": (), "5 % 429, 2 % 500": injected}.items():
        with simulator(*common, *options) as (url, _):
            async with written(asked) as broker:
                ours = await measured(len(asked), _asked(url, broker, len(asked), in_flight))
        rates[name] = ours.per_s
        print(f"{name:18} {ours.per_s:8.1f}/s {ours.cpu_ms:6.2f} ms, all {ours.calls:,} answered")
    print(f"{'ratio':18} {rates['5 % 429, 2 % 500'] / rates['no faults']:8.3f}")


async def crowded(plan: argparse.Namespace) -> None:
    """Print the utilisation of a server that refuses calls above its capacity, and how often it refuses one."""
    in_flight, latency_s = plan.in_flight[0], plan.latency
    calls = plan.calls or int(60 * plan.allowed / latency_s)
    asked = prompts(calls)
    limits = ("--max-num-seqs", str(plan.allowed), "--max-waiting-queue-length", "0")
    with simulator("--time-to-first-token", f"{int(latency_s * 1000)}ms", *limits) as (url, _):
        async with written(asked) as broker, aiohttp.ClientSession() as session:
            ours = await measured(calls, _asked(url, broker, calls, in_flight))
            async with session.get(f"{url.removesuffix('/v1')}/sim/requests") as response:
                totals: dict[str, Any] = (await response.json())["totals"]
    refused = totals["by_status"].get("429", 0)
    print(f"{plan.allowed} allowed at once, {in_flight} wanted: {ours.per_s:.1f}/s over {ours.wall_s:.0f} s")
    print(
        f"used {ours.per_s / (plan.allowed / latency_s):.3f} of it; refused {refused / totals['requests']:.4f} of calls"
    )


def main() -> None:
    """Read the command line and run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[32, 128, 256, 1_000])
    parser.add_argument("--calls", type=int)
    parser.add_argument("--latency", type=float, default=0.5, help="seconds for each call")
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--allowed", type=int)
    plan = parser.parse_args()
    log_warnings_only()
    if plan.faults or plan.allowed:
        plan.in_flight = plan.in_flight[:1] if len(plan.in_flight) == 1 else [128]
    asyncio.run(faults(plan) if plan.faults else crowded(plan) if plan.allowed else throughput(plan))


if __name__ == "__main__":
    main()
