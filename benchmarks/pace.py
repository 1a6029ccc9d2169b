"""The memory of a run as it grows, simulated without a log, and the time that each part of it takes for a task.

    python -m benchmarks.pace                      # up to a million tasks: some minutes
    python -m benchmarks.pace --tasks 10000000     # half an hour

The messages of a run are made and applied to what `seedstream run` holds: the panel's progress and bill, the producer's
progress and pool, admit's index, finish's ids. Times are CPU for each task since the row before, without those of
making messages. "judging" is an answer of eight candidates at that size, a mean of 100. The last column is the log that
such a run would have written.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.admit_on_kafka import answer
from benchmarks.grown_log import ACCEPTED, History, new_run
from benchmarks.machine import load, log_warnings_only
from benchmarks.texts import TokenStore
from consumers.admit import Admit
from consumers.finish import Finish
from producers.sampling_pool import SamplingPool
from service.messaging import codec, topics
from service.messaging.messages import Message, Origin, PooledTask
from service.messaging.record_size import size_of
from service.messaging.topics import TOPIC_OF_TYPE, Topic
from service.run.progress import Progress

_BATCH = 2_000
_ANSWERS = 100
_MIB, _GIB = 2**20, 2**30
_SAMPLED_EVERY = 1_000
_PRODUCER = (topics.PROMPTS, topics.POOL, topics.DECISIONS, topics.INSTANCES, topics.TASKS)


class Part:
    """A part of a run's memory: it takes the messages of some topics."""

    def __init__(self, name: str, followed: Sequence[Topic[Message]], *apply: Callable[[Message], None]) -> None:
        self.name = name
        self.cpu_s = 0.0
        self._topics = frozenset(topic.name for topic in followed)
        self._apply = apply

    def take(self, messages: Sequence[tuple[Topic[Message], Message]]) -> None:
        """Apply those of the messages that are of its topics."""
        wanted = [message for topic, message in messages if topic.name in self._topics]
        began_s = time.process_time()
        for apply in self._apply:
            for message in wanted:
                apply(message)
        self.cpu_s += time.process_time() - began_s


@dataclass(frozen=True, slots=True)
class Measured:
    """A run of this size. Times in seconds: for each task by part, and for each answer that is judged."""

    tasks: int
    rss_mib: float
    each_s: dict[str, float]
    judging_s: float
    log_gib: float

    def row(self) -> str:
        """Return a row of the table."""
        parts = " | ".join(f"{each * 1e6:.1f}" for each in self.each_s.values())
        return f"| {self.tasks:,} | {self.rss_mib:,.0f} | {parts} | {self.judging_s * 1e3:.2f} | {self.log_gib:,.1f} |"


HEADER = (
    "| tasks | MiB | panel, µs a task | producer | admit | finish | judging, ms an answer | log, GiB |\n"
    "|---:|---:|---:|---:|---:|---:|---:|---:|"
)


class Run:
    """The memory of a run, and the messages that it has had."""

    def __init__(self) -> None:
        definition, seeds = new_run("pace")
        self._history = History(definition, seeds, cheap=True)
        self.admit = Admit(definition.recipe)
        self._admit_answers = TokenStore(random.Random("judged"))  # noqa: S311 - made-up text
        pool, panel, producer = SamplingPool(), Progress(), Progress()
        self.parts = (
            Part("panel", topics.ALL, panel.apply),
            Part("producer", _PRODUCER, producer.apply, pool.apply),
            Part("admit", self.admit.restores, self.admit.restore),
            Part("finish", Finish.restores, Finish("pace", lambda: 0).restore),
        )
        self._log_bytes = 0.0
        self._prompts = 0
        pooled = [
            PooledTask(pool_seq=place, id=seed.id, origin=Origin.HUMAN, instruction=seed.instruction, seed=seed)
            for place, seed in enumerate(seeds)
        ]
        self._take([(topics.POOL, message) for message in pooled])

    def grow(self, prompts: int) -> None:
        """Let the run have this number of prompts."""
        while self._prompts < prompts:
            upto = min(self._prompts + _BATCH, prompts)
            self._take([each for seq in range(self._prompts, upto) for each in self._messages(seq)])
            self._prompts = upto

    def _messages(self, seq: int) -> Iterator[tuple[Topic[Message], Message]]:
        for written in self._history.prompt(seq):
            message = written.message
            if seq % _SAMPLED_EVERY == 0:
                self._log_bytes += size_of(codec.encode(message, "pace")) * _SAMPLED_EVERY
            yield TOPIC_OF_TYPE[type(message)], message

    def _take(self, messages: Sequence[tuple[Topic[Message], Message]]) -> None:
        for part in self.parts:
            part.take(messages)

    def judging_s(self) -> float:
        """Return the CPU seconds for an answer, once the index is built; the verdicts are forgotten."""
        answers = [answer(seq, 8, self._admit_answers) for seq in range(10**9, 10**9 + _ANSWERS)]
        asyncio.run(_judge(self.admit, answers[:1]))
        began_s = time.process_time()
        asyncio.run(_judge(self.admit, answers))
        return (time.process_time() - began_s) / _ANSWERS

    @property
    def log_gib(self) -> float:
        """The size of the records so far, by a sample of them."""
        return self._log_bytes / _GIB


async def _judge(admit: Admit, answers: Sequence[object]) -> None:
    for each in answers:
        await admit([each])  # type: ignore[list-item]


def pace(sizes: Sequence[int]) -> Iterator[Measured]:
    """Let a run grow, and measure it at each size."""
    run, before = Run(), 0
    for tasks in sizes:
        for part in run.parts:
            part.cpu_s = 0.0
        run.grow(tasks // ACCEPTED)
        each_s = {part.name: part.cpu_s / (tasks - before) for part in run.parts}
        yield Measured(tasks, _rss_mib(), each_s, run.judging_s(), run.log_gib)
        before = tasks


def _rss_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def sizes_up_to(tasks: int) -> list[int]:
    """Return 1,000, 10,000 and so on, and the number itself."""
    powers = [10**power for power in range(3, 12) if 10**power < tasks]
    return [*powers, tasks]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    given = parser.parse_args(sys.argv[1:])
    log_warnings_only()
    print(f"{load()}\n{HEADER}", flush=True)
    for each in pace(sizes_up_to(given.tasks)):
        print(each.row(), flush=True)


if __name__ == "__main__":
    main()
