"""Candidates/s that admit judges with 0, 1, 2 and 4 screens, on a real Kafka.

    python -m benchmarks.screens                       # a pool of 200,000, then 3,000 answers of 8 candidates
    python -m benchmarks.screens --pool 50000 --screens 0 2

Admit runs in this process, each screen in its own, and Kafka in another. All are ready and have judged some answers
before the load is written, all at once. So there is a backlog from the first moment, without any hints. The verdicts
must be the same for every number of screens.
"""

import argparse
import asyncio
import hashlib
import logging
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from uuid import uuid4

import anyio
from msgspec import structs

from benchmarks.admit_on_kafka import answer
from benchmarks.machine import kafka, load, log_warnings_only
from benchmarks.texts import TokenStore
from consumers.admit import Admit
from consumers.screen import Screen
from service.adapters.kafka import KafkaBroker, KafkaOptions
from service.messaging import codec, topics
from service.messaging.broker import Broker, NewRecord, Partition
from service.messaging.messages import Decision, Message, Origin, PooledTask
from service.messaging.topics import Topic
from service.pool.hint_reader import follow_hints, report_wrong_hint
from service.pool.hints import Hints, Use
from service.pool.screen_worker import Screening
from service.runtime.transactional_worker import TransactionalWorker
from service.selfinstruct.recipe import SELF_INSTRUCT

_PARTITIONS = 4
_WARM_UP = 400
_WRITTEN_AT_ONCE = 2_000
_REPEATED = 0.4
_READY = "ready"


@dataclass(frozen=True, slots=True)
class Load:
    """The records of a run of any name: its pool, answers for the warm-up, answers to measure."""

    pool: Sequence[NewRecord]
    warm_up: Sequence[NewRecord]
    answers: Sequence[NewRecord]
    candidates: int

    @classmethod
    def make(cls, pool: int, answers: int, candidates: int) -> "Load":
        """Return a load, the same one every time."""
        texts = TokenStore(random.Random("screens"))  # noqa: S311 - made-up text
        tasks = [
            PooledTask(pool_seq=seq, id=f"m{seq}", origin=Origin.MACHINE, instruction=texts.instruction(_REPEATED / 4))
            for seq in range(pool)
        ]
        replies = [answer(seq, candidates, texts) for seq in range(_WARM_UP + answers)]
        known = [codec.encode(task, "") for task in tasks]
        new = [codec.encode(reply, "") for reply in replies]
        return cls(known, new[:_WARM_UP], new[_WARM_UP:], candidates)


@dataclass(frozen=True, slots=True)
class Measured:
    """The time that the load took."""

    screens: int
    candidates: int
    wall_s: float
    cpu_s: float
    tally: dict[Use, int]
    verdicts: str

    @property
    def per_s(self) -> float:
        """Return candidates/s."""
        return self.candidates / self.wall_s

    @property
    def hinted(self) -> float:
        """Return the share of the compared candidates that had a usable hint."""
        compared = sum(count for use, count in self.tally.items() if use is not Use.LATE)
        return self.tally.get(Use.USED, 0) / max(1, compared)


class CountingAdmit(Admit):
    """Admit that signals when it has made a given number of decisions, and keeps a digest of them."""

    def __init__(self, hints: Hints | None) -> None:
        super().__init__(SELF_INSTRUCT, hints)
        self._left = 0
        self._all = anyio.Event()
        self._verdicts = hashlib.sha256()

    def restore(self, message: Message) -> None:
        """Count the decision, and do what admit does."""
        super().restore(message)
        if isinstance(message, Decision):
            self._verdicts.update(message.to_json())
            self._left -= 1
            if self._left == 0:
                self._all.set()

    def expect(self, decisions: int) -> None:
        """Start to count."""
        self._left, self._all = decisions, anyio.Event()

    async def reached(self) -> str:
        """Wait for the expected number of decisions. Returns a digest of all decisions so far."""
        await self._all.wait()
        return self._verdicts.hexdigest()


async def write(broker: Broker, topic: Topic[Message], run: str, records: Sequence[NewRecord]) -> None:
    """Write records to a topic of a run."""
    async with broker.producer() as producer:
        for first in range(0, len(records), _WRITTEN_AT_ONCE):
            batch = records[first : first + _WRITTEN_AT_ONCE]
            await producer.send([structs.replace(record, topic=topic.of(run)) for record in batch])


@contextmanager
def screens(count: int, bootstrap: str, run: str) -> Iterator[None]:
    """Run screens in their own processes while the block lasts. It starts when they have read the pool."""
    with ExitStack() as stack:
        command = [sys.executable, "-m", "benchmarks.screens", "--bootstrap", bootstrap, "--run", run]
        children = [
            stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))  # noqa: S603
            for _ in range(count)
        ]
        for child in children:
            stack.callback(child.terminate)
        for child in children:
            said = child.stdout.readline() if child.stdout is not None else ""
            if said.strip() != _READY:
                raise RuntimeError(f"expected a screen to say {_READY!r}, got {said!r}")
        yield


async def be_screen(bootstrap: str, run: str) -> None:
    """Run a screen until the process is killed."""
    ready = anyio.Event()
    async with KafkaBroker.open(KafkaOptions(bootstrap=bootstrap)) as broker, anyio.create_task_group() as tasks:
        tasks.start_soon(Screening(Screen(SELF_INSTRUCT), broker, run).run, anyio.Event(), ready)
        await ready.wait()
        print(_READY, flush=True)


async def hinted(broker: Broker, run: str, count: int) -> None:
    """Wait for this number of hints: then every screen has built its index."""
    partitions = [Partition(topics.HINTS.of(run), number) for number in range(_PARTITIONS)]
    seen = 0
    async with broker.reader(partitions) as reader:
        while seen < count:
            seen += len(await reader.poll(_WRITTEN_AT_ONCE, 1.0))


async def measure(bootstrap: str, count: int, given: Load) -> Measured:
    """Process the load with this number of screens."""
    run = f"screens-{uuid4().hex[:8]}"
    async with KafkaBroker.open(KafkaOptions(bootstrap=bootstrap)) as broker:
        await broker.create_topics(topics.specs(run, _PARTITIONS))
        await write(broker, topics.POOL, run, given.pool)
        with screens(count, bootstrap, run):
            await write(broker, topics.CANDIDATES, run, given.warm_up)
            if count:
                await hinted(broker, run, len(given.warm_up))
            return await _admit(broker, run, count, given)


async def _admit(broker: Broker, run: str, count: int, given: Load) -> Measured:
    hints = Hints(SELF_INSTRUCT.filters.rouge_threshold, report_wrong_hint)
    stage = CountingAdmit(hints)
    drain, ready = anyio.Event(), anyio.Event()
    stage.expect(len(given.warm_up))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow_hints, broker, run, hints)
        tasks.start_soon(TransactionalWorker(stage, broker, run).run, drain, ready)
        await stage.reached()
        hints.tally.clear()
        stage.expect(len(given.answers))
        began_s, cpu_s = time.perf_counter(), time.process_time()
        tasks.start_soon(write, broker, topics.CANDIDATES, run, given.answers)
        verdicts = await stage.reached()
        wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
        drain.set()
        tasks.cancel_scope.cancel()
    return Measured(count, len(given.answers) * given.candidates, wall_s, cpu_s, dict(hints.tally), verdicts)


def show(each: Measured, alone: Measured) -> None:
    """Print a line."""
    same = "same" if each.verdicts == alone.verdicts else "DIFFER"
    print(f"{each.screens:7}{each.per_s:14.0f}{each.per_s / alone.per_s:8.2f}{each.hinted:9.0%}", end="")
    print(f"{1e6 * each.cpu_s / each.candidates:13.0f}{same:>10}   ", end="")
    print(", ".join(f"{use} {count}" for use, count in sorted(each.tally.items())), flush=True)


def main() -> None:
    """Run the measurements that the command line names, or run as one of the screens."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=int, default=200_000)
    parser.add_argument("--answers", type=int, default=3_000)
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--screens", type=int, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--bootstrap", help=argparse.SUPPRESS)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    given = parser.parse_args()
    log_warnings_only()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the election of a new topic's leader takes a moment
    if given.bootstrap is not None:
        asyncio.run(be_screen(given.bootstrap, given.run))
        return
    made = Load.make(given.pool, given.answers, given.candidates)
    print(f"{given.pool} tasks; {given.answers} answers with {given.candidates} candidates; {load()}")
    print(f"{'screens':>7}{'candidates/s':>14}{'ratio':>8}{'hinted':>9}{'µs CPU each':>13}{'verdicts':>10}")
    with kafka() as cluster:
        alone = asyncio.run(measure(cluster.bootstrap, 0, made))
        show(alone, alone)
        for count in given.screens:
            if count:
                show(asyncio.run(measure(cluster.bootstrap, count, made)), alone)


if __name__ == "__main__":
    main()
