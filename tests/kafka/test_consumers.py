"""Members of a consumer group on Kafka that are slow, block their event loop, or are killed."""

import hashlib
import time
from pathlib import Path
from signal import SIGKILL
from uuid import uuid4

import anyio
import msgspec
import pytest
from msgspec.structs import replace

from service.adapters.kafka import KafkaBroker, KafkaOptions
from service.client import FinishedTask, Tasks, open_tasks
from service.messaging import codec, topics
from tests.acceptance.program import run, start
from tests.kafka.cluster import Cluster
from tests.support.examples import finished
from tests.support.logs import DEADLINE_S

pytestmark = [pytest.mark.kafka, pytest.mark.anyio]

_TASKS = 40
_LONGER_THAN_A_SESSION_S = 8.0
_QUIET_S = 1.0


async def test_a_consumer_may_block_its_event_loop(kafka: Cluster) -> None:
    name, place = await _filled(kafka), f"kafka://{kafka.bootstrap}"
    async with open_tasks(place, name, group="g", auto_commit=True) as busy:
        first = await _take(busy, 1)
        busy.done()  # else it is delivered again if its partition moves
        async with open_tasks(place, name, group="g", auto_commit=True) as other:
            there = await _take(other, _TASKS // 2 - 1)
            _block_for(_LONGER_THAN_A_SESSION_S)
            with anyio.move_on_after(_QUIET_S):
                while True:
                    there += await _take(other, 1)
            assert len(there) <= _TASKS // 2, "the busy member was expelled"
            here = first + await _take(busy, _TASKS - len(first) - len(there))
    assert sorted(here + there) == list(range(_TASKS))


async def test_a_killed_member_leaves_its_tasks_to_the_next(kafka: Cluster, tmp_path: Path) -> None:
    name = await _filled(kafka)
    await anyio.to_thread.run_sync(_kill_and_continue, kafka, name, tmp_path)


def _kill_and_continue(kafka: Cluster, name: str, folder: Path) -> None:
    group, settings = ("consume", "--group", "g"), {"BROKER": f"kafka://{kafka.bootstrap}", "RUN": name}
    with start(folder, *group, settings=settings) as member:
        member.wait_for_lines(_TASKS // 2)
        member.send(SIGKILL)
        first = member.end()
    rest = run(folder, *group, "--until-end", settings=settings)
    assert rest.code == 0, rest.err
    whole = {line for line in (*first.lines, *rest.lines) if line.endswith(b"\n")}  # a kill may cut the last line
    assert {msgspec.json.decode(line, type=FinishedTask).task_seq for line in whole} == set(range(_TASKS))


async def _filled(kafka: Cluster) -> str:
    """Create a run with two partitions, and write tasks to them in turn. Return its name."""
    name = f"consumed-{uuid4().hex[:8]}"
    async with KafkaBroker.open(KafkaOptions(bootstrap=kafka.bootstrap)) as broker:
        await broker.create_topics(topics.specs(name, 2))
        async with broker.producer() as producer:
            encoded = [codec.encode(finished(seq), name) for seq in range(_TASKS)]
            await producer.send([replace(record, partition=seq % 2) for seq, record in enumerate(encoded)])
    return name


async def _take(tasks: Tasks, count: int) -> list[int]:
    with anyio.fail_after(DEADLINE_S):
        return [(await anext(tasks)).task_seq for _ in range(count)]


def _block_for(seconds: float) -> None:
    """Keep this thread at work, as a training step does, without a checkpoint for its event loop."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        hashlib.pbkdf2_hmac("sha256", b"", b"", 100_000)
