"""The time that admit takes to rebuild its memory from the log, split into reading, decoding and remembering.

    python -m benchmarks.rebuild                # a pool of 100,000 tasks
    python -m benchmarks.rebuild --large        # also one of 1,000,000: about ten minutes, most of them to write it
    python -m benchmarks.rebuild --pool 20000
    python -m benchmarks.rebuild --embedded --pool 1000000    # the embedded log instead of Kafka: three minutes

The baseline is a bare aiokafka consumer, or a cursor of sqlite3, that counts the records. "admit" ends with its first
verdict. "waiting" is the share of the time in which the process used no CPU: it waits for an answer of the broker, for
a fetch in flight for another topic, or for other processes. Each line runs in its own process, so that its memory is
its own too. "before" is the memory of a process that has imported everything and connected. The prompt producer reads
the same topic when it starts, and has a line of its own.
"""

import argparse
import asyncio
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.admit_on_kafka import answer
from benchmarks.machine import kafka, load, log_warnings_only
from benchmarks.texts import TokenStore
from consumers.admit import Admit
from producers.sampling_pool import SamplingPool
from service.adapters.kafka import KafkaBroker, KafkaOptions
from service.adapters.sqlite import SqliteBroker
from service.messaging import codec, topics
from service.messaging.broker import Broker, Isolation, Partition
from service.messaging.messages import Origin, PooledTask, Provenance
from service.messaging.topic_reader import Tail
from service.run.progress import Progress
from service.selfinstruct.recipe import SELF_INSTRUCT

_WRITTEN_AT_ONCE = 5_000
_LARGE = 1_000_000
_MIB = 1024
_BARE, _READ, _DECODE, _RESTORE, _PRODUCER = "bare consumer", "read", "read, decode", "admit", "producer"
_WAYS = (_BARE, _READ, _DECODE, _RESTORE, _PRODUCER)


@dataclass(frozen=True, slots=True)
class Measured:
    """The time of one way to read the pool, and its peak memory in MiB."""

    way: str
    records: int
    wall_s: float
    cpu_s: float
    before_mib: float
    peak_mib: float


@asynccontextmanager
async def opened(log: str) -> AsyncIterator[Broker]:
    """Open a log by its address: the file of an embedded log, or a bootstrap server."""
    if log.startswith("/"):
        async with SqliteBroker.open(Path(log)) as embedded:
            yield embedded
    else:
        async with KafkaBroker.open(KafkaOptions(bootstrap=log)) as broker:
            yield broker


async def preload(log: str, run: str, pool: int) -> None:
    """Write a pool of machine-written tasks, as admit writes it."""
    texts = TokenStore(random.Random("pool"))  # noqa: S311 - made-up text
    recipe = SELF_INSTRUCT.digest
    async with opened(log) as broker:
        await broker.create_topics(topics.specs(run, 1))
        async with broker.producer() as producer:
            for first in range(0, pool, _WRITTEN_AT_ONCE):
                tasks = [_task(seq, texts, recipe) for seq in range(first, min(first + _WRITTEN_AT_ONCE, pool))]
                await producer.send([codec.encode(task, run) for task in tasks])


def _task(seq: int, texts: TokenStore, recipe: str) -> PooledTask:
    provenance = Provenance(
        prompt_id=f"p{seq // 3}",
        parents=tuple(f"p{max(0, seq // 3 - 7 * place)}.{place % 5}" for place in range(8)),
        depth=3,
        recipe=recipe,
        templates="0123456789abcdef",
        model="seedstream-simulator",
    )
    name = f"p{seq // 3}.{seq % 3}"
    return PooledTask(
        pool_seq=seq, id=name, origin=Origin.MACHINE, instruction=texts.instruction(), provenance=provenance
    )


async def bare(log: str, run: str) -> int:
    """Count the records with aiokafka alone, or sqlite3 alone."""
    if log.startswith("/"):
        with closing(sqlite3.connect(log)) as connection:
            return sum(1 for _ in connection.execute("SELECT * FROM records"))
    partition = TopicPartition(topics.POOL.of(run), 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=log, isolation_level="read_committed", enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([partition])
        consumer.seek(partition, 0)
        end = (await consumer.end_offsets([partition]))[partition]
        count = 0
        while await consumer.position(partition) < end:
            found = await consumer.getmany(timeout_ms=200)
            count += sum(len(records) for records in found.values())
        return count
    finally:
        await consumer.stop()


async def ours(broker: Broker, run: str, way: str) -> int:
    """Read the pool as a stage does, and process each record up to the given step."""
    admit, progress, sampled = Admit(SELF_INSTRUCT), Progress(), SamplingPool()
    count = 0
    async with Tail.of(broker, run, [topics.POOL, topics.DECISIONS]) as tail:
        async for record in tail.to_end():
            count += 1
            if way == _READ:
                continue
            message = tail.decode(record)
            if way == _RESTORE:
                admit.restore(message)
            elif way == _PRODUCER:
                progress.apply(message)
                sampled.apply(message)
    if way == _RESTORE:
        await admit([answer(0, 1, TokenStore(random.Random("verdict")))])  # noqa: S311 - made-up text
    return count


async def read(log: str, run: str, way: str) -> Measured:
    """Read in this process, and measure it."""
    async with opened(log) as broker:
        await broker.end_offset(Partition(topics.POOL.of(run), 0), Isolation.READ_COMMITTED)
        before = memory_mib("VmRSS")
        began, cpu = time.perf_counter(), time.process_time()
        count = await (bare(log, run) if way == _BARE else ours(broker, run, way))
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    return Measured(way, count, wall_s, cpu_s, before, memory_mib("VmHWM"))


def memory_mib(name: str) -> float:
    """Return the memory of this process: VmRSS now, VmHWM at its peak (`getrusage` starts with that of the parent)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / _MIB


def in_a_process(log: str, run: str, way: str) -> Measured:
    """Read in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.rebuild", "--child", log, run, way]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603 - ourselves
    return Measured(**orjson.loads(done.stdout))


def show(results: Sequence[Measured]) -> None:
    """Print the table. The first result is the baseline."""
    bare_s = results[0].wall_s
    print(f"\npool of {results[0].records} tasks; {load()}")
    print(f"{'':16}{'s':>8}{'records/s':>12}{'times bare':>12}{'waiting':>9}{'CPU us each':>13}", end="")
    print(f"{'before, MiB':>13}{'peak':>7}{'bytes each':>12}")
    for each in results:
        growth = (each.peak_mib - each.before_mib) * _MIB * _MIB / each.records
        print(f"{each.way:16}{each.wall_s:8.1f}{each.records / each.wall_s:12.0f}{each.wall_s / bare_s:12.2f}", end="")
        print(f"{1 - each.cpu_s / each.wall_s:9.0%}", end="")
        print(f"{each.cpu_s / each.records * 1e6:13.1f}{each.before_mib:13.0f}{each.peak_mib:7.0f}{growth:12.0f}")
    by_way = {each.way: each.cpu_s for each in results}
    parts = {
        "reading": by_way[_READ],
        "decoding": by_way[_DECODE] - by_way[_READ],
        "remembering": by_way[_RESTORE] - by_way[_DECODE],
    }
    said = ", ".join(f"{part} {taken / by_way[_RESTORE]:.0%}" for part, taken in parts.items())
    print(f"admit's CPU: {said}", flush=True)


def main() -> None:
    """Run the measurements that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=int, default=100_000)
    parser.add_argument("--large", action="store_true", help=f"a pool of {_LARGE} too")
    parser.add_argument("--embedded", action="store_true", help="the embedded log, in a temporary folder")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    log_warnings_only()
    if given.child is not None:
        sys.stdout.buffer.write(orjson.dumps(asdict(asyncio.run(read(*given.child)))))
        return
    for pool in [given.pool, _LARGE] if given.large else [given.pool]:
        with embedded() if given.embedded else cluster_address() as log:
            run = f"rebuild-{uuid4().hex[:8]}"
            began = time.perf_counter()
            asyncio.run(preload(log, run, pool))
            print(f"wrote {pool} tasks in {time.perf_counter() - began:.0f} s; {load()}", flush=True)
            in_a_process(log, run, _BARE)  # let the broker warm up
            show([in_a_process(log, run, way) for way in _WAYS])


@contextmanager
def embedded() -> Iterator[str]:
    """Yield the file of an embedded log."""
    with tempfile.TemporaryDirectory(prefix="seedstream-bench-") as folder:
        yield f"{folder}/log.sqlite3"


@contextmanager
def cluster_address() -> Iterator[str]:
    """Run a broker and yield its address."""
    with kafka() as cluster:
        yield cluster.bootstrap


if __name__ == "__main__":
    main()
