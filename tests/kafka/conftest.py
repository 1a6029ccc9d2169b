"""Brokers of one test module alone, which its tests may pause, kill or spoil; and a count of all requests."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection

from tests.conftest import require_kafka
from tests.kafka.cluster import Cluster


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    require_kafka()
    with Cluster.start(tmp_path_factory.mktemp("own")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    require_kafka()
    with Cluster.start(tmp_path_factory.mktemp("three"), nodes=3) as cluster:
        yield cluster


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the requests of this process to Kafka, by kind."""
    sent: Counter[str] = Counter()
    send = AIOKafkaConnection.send

    def counted(self: AIOKafkaConnection, request: Any, *more: Any, **named: Any) -> Any:
        sent[type(request).__name__] += 1
        return send(self, request, *more, **named)

    monkeypatch.setattr(AIOKafkaConnection, "send", counted)
    return sent
