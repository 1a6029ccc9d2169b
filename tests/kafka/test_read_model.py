"""The read model on Kafka has the rows of one on the embedded log."""

from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from service.adapters.kafka import KafkaBroker, KafkaOptions
from service.messaging.messages import FinishedTask
from service.web.read_model import ReadModel
from service.web.read_model.answers import TaskFilter, TaskOrder
from tests.conftest import OpenBroker
from tests.kafka.cluster import Cluster
from tests.web.read_model.run_log import following, write_run

pytestmark = [pytest.mark.anyio, pytest.mark.kafka, pytest.mark.timeout(200)]

_TASKS = 40


async def told_by(model: ReadModel) -> list[object]:
    """Return answers that do not depend on offsets and times."""
    page = await model.tasks(TaskFilter(order=TaskOrder.OLDEST), None, _TASKS)
    stories = [await model.story(name) for name in ("p3.0", "p5.7", "p9")]
    return [
        [msgspec.json.decode(each.task.value, type=FinishedTask) for each in page.tasks],
        [each.task.distance for each in page.tasks],
        [msgspec.structs.replace(each, finished_ms=None, siblings=()) for each in stories if each is not None],
        [(each.id, each.reason, each.instruction, each.nearest) for each in (await model.decisions()).verdicts],
        await model.seeds(),
        await model.diversity(),
    ]


async def test_rows_from_kafka_are_the_same(kafka: Cluster, open_broker: OpenBroker, tmp_path: Path) -> None:
    run, file = f"read-{uuid4().hex[:8]}", tmp_path / "web.sqlite3"
    async with open_broker() as embedded:
        await write_run(embedded, _TASKS, run)
        async with following(embedded, None, run) as model:
            expected = await told_by(model)
    async with KafkaBroker.open(KafkaOptions(bootstrap=kafka.bootstrap)) as broker:
        await write_run(broker, _TASKS, run)
        for _ in range(2):
            async with following(broker, file, run) as model:
                assert await told_by(model) == expected
                rows = await model.rows(0, _TASKS)
                assert await model.vector_at(_TASKS) == {0: rows[-1].offset + 1}
                assert model.generation == 0
