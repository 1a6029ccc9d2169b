"""Completions/s through Kafka with 1, 2, 4 and 8 processes that generate, compared with the theoretical maximum.

    python -m benchmarks.scaling                                   # about five minutes
    python -m benchmarks.scaling --workers 2 --seconds 60

Each process has 32 calls in flight to a simulator that takes half a second for a call: 64 completions/s, if no slot is
empty. This is the baseline. "at the model" is the average number of calls at the simulator. "between" is the time for
which a slot had no call. One process is producer, admit and finish (three with --apart). Only prompts flow: no process
classifies. Each number of processes has its own run: all start with the pool of seeds.

"Full" says that the machine had no CPU left: a shortfall is then no effect of the number of processes.
"""

import argparse
import asyncio
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from uuid import uuid4

import aiohttp
import anyio

from benchmarks.machine import (
    CORES,
    cpu_s,
    kafka,
    load,
    log_warnings_only,
    machine_cpu_s,
    pid_of_broker,
    seedstream,
    simulator,
)
from service.adapters.kafka import KafkaBroker, KafkaOptions
from service.messaging import topics
from service.messaging.broker import Isolation, Partition
from service.messaging.messages import GoalSet
from service.run.create import define_run
from service.run.definition import AskedRun
from service.settings import load_settings
from tests.kafka.cluster import Cluster

_IN_FLIGHT = 32
_ENDLESS = 10_000_000
_FULL = 0.9
_ENOUGH = 0.95
_SAMPLE_S = 0.5
_START_S = 90.0
_RUNNING = re.compile(r"^vllm:num_requests_running\{.*\} (\d+)", re.MULTILINE)

_Processes = dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class Sample:
    """A snapshot of a run: the records on `candidates`, those that admit has not committed, the calls at the model."""

    at: float
    answers: int
    lag: int
    running: int


@dataclass(frozen=True, slots=True)
class Measured:
    """The throughput of one number of processes over the window, and its CPU in cores."""

    workers: int
    per_s: float
    running: float
    lag: int
    undecided: int
    pool: tuple[int, int]
    cpu: dict[str, float]
    all_cpu: float

    @property
    def full(self) -> bool:
        """Return whether the machine had no CPU left."""
        return self.all_cpu >= _FULL * CORES


@dataclass(frozen=True, slots=True)
class Plan:
    """The options of the command line."""

    latency_s: float
    warm_up_s: float
    window_s: float
    partitions: int
    near_duplicates: float
    apart: bool

    @property
    def single(self) -> list[tuple[str, ...]]:
        """Return the roles of each process that has single roles."""
        roles = ("producer", "admit", "finish")
        return [(role,) for role in roles] if self.apart else [roles]


class Bench:
    """One run on a broker, observed from outside."""

    def __init__(self, broker: KafkaBroker, run: str, url: str) -> None:
        self._broker = broker
        self._run = run
        self._url = url.removesuffix("/v1")

    async def begin(self, partitions: int) -> None:
        """Create the topics."""
        await self._broker.create_topics(topics.specs(self._run, partitions))

    async def set_goal(self) -> None:
        """Set a goal, so that the prompts flow."""
        settings = load_settings({"run": self._run, "lm": "simulator", "target": _ENDLESS})
        definition, seeds = AskedRun(settings).new
        await define_run(self._broker, definition, GoalSet(run=self._run, target=_ENDLESS), seeds)

    async def wait_for_members(self, workers: int) -> None:
        """Wait until every process that generates owns partitions."""
        with anyio.fail_after(_START_S):
            while True:
                members = await self._broker.members(f"seedstream.{self._run}.generate")
                if len([each for each in members if each.owned]) == workers:
                    return
                await anyio.sleep(_SAMPLE_S)

    async def sample(self, session: aiohttp.ClientSession) -> Sample:
        """Take a snapshot. The committed offsets are read first: the lag may be overstated, not understated."""
        candidates = Partition(topics.CANDIDATES.of(self._run), 0)
        committed = await self._broker.committed(f"seedstream.{self._run}.admit", candidates)
        answers = await self._broker.end_offset(candidates, Isolation.READ_COMMITTED)
        at = time.perf_counter()
        async with session.get(f"{self._url}/metrics") as response:
            found = _RUNNING.search(await response.text())
        running = int(found[1]) if found is not None else 0
        return Sample(at, answers, answers - (committed.offset if committed is not None else 0), running)

    async def pool(self) -> int:
        """Return about how many tasks are in the pool. A transaction counts as one more."""
        return await self._broker.end_offset(Partition(topics.POOL.of(self._run), 0), Isolation.READ_COMMITTED)

    async def most_undecided(self) -> int:
        """Return the largest number of prompts without a decision, by the timestamps of the records.

        Prompts are read first. The run goes on, so later prompts are left out.
        """
        changes = [(at, 1) for at in await self._times(topics.PROMPTS.of(self._run))]
        changes += [(at, -1) for at in await self._times(topics.DECISIONS.of(self._run))]
        return max(accumulate(change for _, change in sorted(changes, key=lambda each: (each[0], -each[1]))))

    async def _times(self, topic: str) -> list[int]:
        partitions = [Partition(topic, number) for number in range(await self._broker.partitions(topic))]
        ends = {each: await self._broker.end_offset(each, Isolation.READ_COMMITTED) for each in partitions}
        times: list[int] = []
        async with self._broker.reader(partitions) as reader:
            while any(reader.position(each) < end for each, end in ends.items()):
                times += [record.timestamp_ms for record in await reader.poll(5_000, 0.2)]
        return times


@contextmanager
def staffed(folder: Path, addressed: Sequence[str], url: str, workers: int, plan: Plan) -> Iterator[_Processes]:
    """Run the processes of a run."""
    model = ["--lm", "openai", "--lm-url", url, "--model", "seedstream-simulator", "--lm-api", "completions"]
    window = ["--window", str(2 * _IN_FLIGHT * workers), "--patience", str(_ENDLESS)]
    calls = ["--concurrency", str(_IN_FLIGHT)]
    with ExitStack() as stack:
        single = {
            ", ".join(roles): [stack.enter_context(seedstream(folder, "worker", *roles, *addressed, *window))]
            for roles in plan.single
        }
        generating = [
            stack.enter_context(seedstream(folder, "worker", "generate", *addressed, *model, *calls))
            for _ in range(workers)
        ]
        yield {"generate": generating, **single}


async def watch(bench: Bench, processes: _Processes, workers: int, plan: Plan) -> Measured:
    """Measure over the window."""
    await bench.set_goal()
    await bench.wait_for_members(workers)
    await anyio.sleep(plan.warm_up_s)
    pool = await bench.pool()
    before, all_before = {role: cpu_s(pids) for role, pids in processes.items()}, machine_cpu_s()
    async with aiohttp.ClientSession() as session:
        samples = [await bench.sample(session)]
        while samples[-1].at < samples[0].at + plan.window_s:
            await anyio.sleep(_SAMPLE_S)
            samples.append(await bench.sample(session))
    taken_s = samples[-1].at - samples[0].at
    cpu = {role: (cpu_s(pids) - before[role]) / taken_s for role, pids in processes.items()}
    all_cpu = (machine_cpu_s() - all_before) / taken_s
    _show_course(samples)
    return Measured(
        workers,
        per_s=(samples[-1].answers - samples[0].answers) / taken_s,
        running=sum(each.running for each in samples) / len(samples),
        lag=max(each.lag for each in samples),
        undecided=await bench.most_undecided(),
        pool=(pool, await bench.pool()),
        cpu=cpu,
        all_cpu=all_cpu,
    )


def _show_course(samples: Sequence[Sample]) -> None:
    """Print completions/s of each quarter of the window, to show whether the rate is steady."""
    quarters = [samples[len(samples) * quarter // 4] for quarter in range(4)] + [samples[-1]]
    rates = [(after.answers - before.answers) / (after.at - before.at) for before, after in pairwise(quarters)]
    print(f"  quarters of the window: {', '.join(f'{rate:.0f}' for rate in rates)} completions/s", flush=True)


async def measure(cluster: Cluster, workers: int, plan: Plan) -> Measured:
    """Measure one number of processes, with their own run and simulator."""
    run = f"scaling-{workers}-{uuid4().hex[:4]}"
    told = ["--time-to-first-token", f"{plan.latency_s * 1000:.0f}ms"]
    told += ["--near-duplicate-rate", str(plan.near_duplicates)]
    with simulator(*told) as (url, server), tempfile.TemporaryDirectory() as folder:
        async with KafkaBroker.open(KafkaOptions(bootstrap=cluster.bootstrap)) as broker:
            bench = Bench(broker, run, url)
            await bench.begin(plan.partitions)
            addressed = ["--broker", f"kafka://{cluster.bootstrap}", "--run", run, "--log-level", "warning"]
            with staffed(Path(folder), addressed, url, workers, plan) as processes:
                processes |= {"simulator": [server], "broker": [pid_of_broker(cluster)]}
                print(f"{workers} processes, {load()}", flush=True)
                return await watch(bench, processes, workers, plan)


def show(results: Sequence[Measured], plan: Plan) -> None:
    """Print the tables."""
    print(f"\n{_IN_FLIGHT} calls in flight each, {plan.latency_s:g} s a call, {plan.window_s:g} s measured")
    print(f"{'processes':>9}{'completions/s':>15}{'of possible':>13}{'at the model':>14}{'between':>10}", end="")
    print(f"{'lag of admit':>14}{'undecided':>11}{'window':>8}{'pool':>16}{'CPU':>11}")
    for each in results:
        slots = _IN_FLIGHT * each.workers
        between_ms = (slots / each.per_s - plan.latency_s) * 1e3
        share = each.per_s * plan.latency_s / slots
        said = "full" if each.full else "" if share >= _ENOUGH else "SHORT"
        print(
            f"{each.workers:9}{each.per_s:15.1f}{share:13.1%}{each.running / slots:14.1%}{between_ms:7.0f} ms", end=""
        )
        print(f"{each.lag:14}{each.undecided:11}{2 * slots:8}{each.pool[0]:8} …{each.pool[1]:6}", end="")
        print(f"{each.all_cpu / CORES:7.0%} {said}")
    roles = list(results[0].cpu)
    print(f"\nCPU, cores of {CORES}\n{'processes':>9}" + "".join(f"{role:>25}" for role in [*roles, "others", "all"]))
    for each in results:
        others = each.all_cpu - sum(each.cpu.values())
        cores = [*each.cpu.values(), others, each.all_cpu]
        print(f"{each.workers:9}" + "".join(f"{value:25.2f}" for value in cores))
    print(f"\nCPU, ms a completion\n{'processes':>9}" + "".join(f"{role:>25}" for role in roles))
    for each in results:
        print(f"{each.workers:9}" + "".join(f"{value / each.per_s * 1e3:25.2f}" for value in each.cpu.values()))


def main() -> None:
    """Run the measurements that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--seconds", type=float, default=20.0, help="the window that is measured")
    parser.add_argument("--warm-up", type=float, default=8.0)
    parser.add_argument("--latency", type=float, default=0.5, help="seconds of a call")
    parser.add_argument("--partitions", type=int, default=24)
    parser.add_argument(
        "--near-duplicates", type=float, default=0.1, help="share of candidates that admit is to refuse: a small pool"
    )
    parser.add_argument("--apart", action="store_true", help="producer, admit and finish are three processes")
    given = parser.parse_args()
    log_warnings_only()
    plan = Plan(given.latency, given.warm_up, given.seconds, given.partitions, given.near_duplicates, given.apart)
    with kafka() as cluster:
        results = [asyncio.run(measure(cluster, workers, plan)) for workers in given.workers]
    show(results, plan)


if __name__ == "__main__":
    main()
