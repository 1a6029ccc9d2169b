"""Decisions/s of admit on Kafka in transactions of 200, compared with a bare aiokafka loop and with SQLite.

    python -m benchmarks.admit_on_kafka                      # 20,000 answers of 5 candidates, then of 1
    python -m benchmarks.admit_on_kafka --answers 4000 --candidates 1

All of it runs in this process, on answers that are on `candidates` already. With one candidate in each answer there is
little to judge: the transactions, the codec and the log remain. The baseline is a bare loop that takes 200 records,
writes 200 of the size of a decision, and commits both, with aiokafka alone.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.machine import kafka, load, log_warnings_only
from benchmarks.texts import TokenStore
from consumers.admit import Admit
from service.adapters.kafka import KafkaBroker, KafkaOptions
from service.adapters.sqlite import SqliteBroker
from service.lm.port import FinishReason
from service.lm.usage import Usage
from service.messaging import codec, topics
from service.messaging.broker import Broker, Isolation, Partition, TopicSpec
from service.messaging.messages import Answer, Call, Decision, Message, PooledTask
from service.runtime.stage import Outcome
from service.runtime.transactional_worker import TransactionalWorker
from service.selfinstruct.recipe import SELF_INSTRUCT
from service.selfinstruct.tasks import Candidate

_BATCH = 200
_WRITTEN_AT_ONCE = 1_000
_REPEATED = 0.4
_DECISION_BYTES = 420
_WARM_UP = 2_000


@dataclass(frozen=True, slots=True)
class Measured:
    """The time and the CPU that a number of decisions took."""

    name: str
    answers: int
    accepted: int
    transactions: int
    wall_s: float
    cpu_s: float
    judging_s: float

    @property
    def per_s(self) -> float:
        """Return decisions/s."""
        return self.answers / self.wall_s


class CountingAdmit(Admit):
    """Admit that signals when it has made a given number of decisions."""

    def __init__(self, answers: int, drain: anyio.Event) -> None:
        super().__init__(SELF_INSTRUCT)
        self.judging_s = 0.0
        self.accepted = 0
        self.decisions = 0
        self.ended = 0.0
        self._answers = answers
        self._drain = drain

    def restore(self, message: Message) -> None:
        """Count the decision, and do what admit does."""
        super().restore(message)
        self.accepted += isinstance(message, PooledTask)
        self.decisions += isinstance(message, Decision)
        if self.decisions == self._answers and not self._drain.is_set():
            self.ended = time.perf_counter()
            self._drain.set()

    async def __call__(self, batch: Sequence[Any]) -> Outcome:
        """Measure the time that judging takes, its thread included."""
        began = time.perf_counter()
        outcome = await super().__call__(batch)
        self.judging_s += time.perf_counter() - began
        return outcome


def answer(seq: int, candidates: int, texts: TokenStore) -> Answer:
    """Return an answer of a model with made-up candidates."""
    instructions = [texts.instruction(_REPEATED) for _ in range(candidates)]
    return Answer(
        prompt_id=f"p{seq}",
        prompt_seq=seq,
        demonstrations=tuple(f"seed_task_{number}" for number in range(8)),
        depth=1,
        recipe=SELF_INSTRUCT.digest,
        templates="0123456789abcdef",
        call=Call(
            model="seedstream-simulator",
            completion="\n".join(f"{place + 9}. {text}" for place, text in enumerate(instructions)),
            finish_reason=FinishReason.STOP,
            usage=Usage(prompt_tokens=200, completion_tokens=20 * candidates),
            attempts=1,
            cost_usd=None,
        ),
        candidates=tuple(Candidate(position=place, instruction=text) for place, text in enumerate(instructions)),
    )


async def preload(broker: Broker, run: str, answers: int, candidates: int) -> None:
    """Write the answers, the same ones every time."""
    texts = TokenStore(random.Random(f"answers/{candidates}"))  # noqa: S311 - made-up text
    async with broker.producer() as producer:
        for first in range(0, answers, _WRITTEN_AT_ONCE):
            seqs = range(first, min(first + _WRITTEN_AT_ONCE, answers))
            await producer.send([codec.encode(answer(seq, candidates, texts), run) for seq in seqs])


async def admit(name: str, broker: Broker, answers: int, candidates: int) -> Measured:
    """Run admit until it has decided about all answers."""
    run = f"admit-{uuid4().hex[:8]}"
    await broker.create_topics(topics.specs(run, 1))
    await preload(broker, run, answers, candidates)
    drain, ready = anyio.Event(), anyio.Event()
    stage = CountingAdmit(answers, drain)
    began = cpu = 0.0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(TransactionalWorker(stage, broker, run).run, drain, ready)
        await ready.wait()
        began, cpu = time.perf_counter(), time.process_time()
    decisions = Partition(topics.DECISIONS.of(run), 0)
    ends = await broker.end_offset(decisions, Isolation.READ_COMMITTED) - answers
    return Measured(
        name, answers, stage.accepted, ends, stage.ended - began, time.process_time() - cpu, stage.judging_s
    )


@asynccontextmanager
async def bare_clients(bootstrap: str, group: str) -> AsyncIterator[tuple[AIOKafkaConsumer, AIOKafkaProducer]]:
    """Open a consumer and a transactional producer with the settings of the adapter."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed", enable_auto_commit=False)
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        transactional_id=group,
        acks="all",
        compression_type="lz4",
        max_batch_size=256 * 1024,
        retry_backoff_ms=10,
    )
    await consumer.start()
    await producer.start()
    try:
        yield consumer, producer
    finally:
        await producer.stop()
        await consumer.stop()


async def bare_loop(broker: KafkaBroker, bootstrap: str, answers: int, candidates: int) -> Measured:
    """Move the same number of records in transactions of the same size, with aiokafka alone."""
    run = f"bare-{uuid4().hex[:8]}"
    group, target = f"seedstream.{run}.admit", topics.DECISIONS.of(run)
    await broker.create_topics([TopicSpec(name, 1) for name in (topics.CANDIDATES.of(run), target)])
    await preload(broker, run, answers, candidates)
    source = TopicPartition(topics.CANDIDATES.of(run), 0)
    value = random.Random(1).randbytes(_DECISION_BYTES // 2).hex().encode()  # noqa: S311 - made-up bytes
    transactions, read = 0, 0
    async with bare_clients(bootstrap, group) as (consumer, producer):
        consumer.assign([source])
        consumer.seek(source, 0)
        began, cpu = time.perf_counter(), time.process_time()
        while read < answers:
            found = await consumer.getmany(timeout_ms=200, max_records=_BATCH)
            records = found.get(source, [])
            if records:
                await producer.begin_transaction()
                sent = [await producer.send(target, value, key=record.key, partition=0) for record in records]
                await asyncio.gather(*sent)
                await producer.send_offsets_to_transaction({source: records[-1].offset + 1}, group)
                await producer.commit_transaction()
                read, transactions = read + len(records), transactions + 1
        wall_s = time.perf_counter() - began
        return Measured("bare aiokafka", read, 0, transactions, wall_s, time.process_time() - cpu, 0.0)


def show(results: Sequence[Measured], candidates: int) -> None:
    """Print the table. The first result is the baseline."""
    bare = results[0]
    print(f"\n{bare.answers} answers with {candidates} candidates each; {load()}")
    print(f"{'':16}{'decisions/s':>13}{'of bare':>9}{'accepted':>10}{'transactions':>14}{'ms each':>9}", end="")
    print(f"{'judging':>9}{'the rest':>10}{'CPU ms each':>13}")
    for each in results:
        ms_each, judging = (1e3 * taken / each.transactions for taken in (each.wall_s, each.judging_s))
        accepted = f"{each.accepted / (each.answers * candidates):.0%}" if each.accepted else "-"
        print(f"{each.name:16}{each.per_s:13.0f}{each.per_s / bare.per_s:9.2f}{accepted:>10}", end="")
        print(f"{each.transactions:14}{ms_each:9.1f}{judging:9.1f}{ms_each - judging:10.1f}", end="")
        print(f"{1e3 * each.cpu_s / each.transactions:13.1f}", flush=True)


async def warm_up(bootstrap: str) -> None:
    """Let the JIT compiler of the broker's JVM warm up."""
    async with KafkaBroker.open(KafkaOptions(bootstrap=bootstrap)) as broker:
        await bare_loop(broker, bootstrap, _WARM_UP, 1)


async def measure(bootstrap: str, answers: int, candidates: int) -> None:
    """Run the three measurements, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        async with KafkaBroker.open(KafkaOptions(bootstrap=bootstrap)) as broker:
            results = [
                await bare_loop(broker, bootstrap, answers, candidates),
                await admit("admit, Kafka", broker, answers, candidates),
            ]
        async with SqliteBroker.open(Path(folder) / "bench.sqlite3") as embedded:
            results.append(await admit("admit, SQLite", embedded, answers, candidates))
    show(results, candidates)


def main() -> None:
    """Run the measurements that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=20_000)
    parser.add_argument("--candidates", type=int, nargs="+", default=[1, 5])
    given = parser.parse_args()
    log_warnings_only()
    with kafka() as cluster:
        asyncio.run(warm_up(cluster.bootstrap))
        for candidates in given.candidates:
            asyncio.run(measure(cluster.bootstrap, given.answers, candidates))


if __name__ == "__main__":
    main()
