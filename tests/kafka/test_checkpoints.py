"""Checkpoints of a run on Kafka: a command leaves one behind in the state folder, and the next one begins there."""

from pathlib import Path
from uuid import uuid4

import anyio
import orjson
import pytest

from benchmarks.grown_log import new_run, write_log
from service.adapters.kafka import KafkaBroker, KafkaOptions
from service.checkpoints import Checkpoints
from service.run.progress_reader import MANY, ProgressReader
from tests.acceptance.program import run
from tests.kafka.cluster import Cluster

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(200)]

# Each has at least five records.
_TASKS = MANY // 5


def test_status_leaves_a_checkpoint_for_the_next_command(kafka: Cluster, tmp_path: Path) -> None:
    name = f"grown-{uuid4().hex[:8]}"
    options, new = KafkaOptions(bootstrap=kafka.bootstrap), new_run(name)
    settings = {"BROKER": f"kafka://{kafka.bootstrap}", "RUN": name, "STATE_DIR": "state"}

    async def write() -> None:
        async with KafkaBroker.open(options) as broker:
            await write_log(broker, new, _TASKS)

    async def finished_from_checkpoint() -> tuple[bool, int]:
        checkpoints = Checkpoints(tmp_path / "state" / f"{name}.state")
        async with KafkaBroker.open(options) as broker, ProgressReader.open(broker, name, checkpoints) as reader:
            await reader.catch_up()
            return reader.is_restored, reader.progress.finished

    anyio.run(write)
    first, second = (run(tmp_path, "status", "--json", settings=settings) for _ in range(2))
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert anyio.run(finished_from_checkpoint) == (True, _TASKS)
    told, again = orjson.loads(first.out), orjson.loads(second.out)
    assert told["finished"] == _TASKS
    assert {**told, "stalled": None} == {**again, "stalled": None}
