"""The brokers under the contract. A test uses `open_broker` to open the same log repeatedly."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from service.adapters.kafka import KafkaBroker, KafkaOptions
from service.adapters.sqlite import SqliteBroker
from service.messaging.broker import Broker
from tests.contract.namespace import Namespaced
from tests.kafka.cluster import Cluster

OpenBroker = Callable[[], AbstractAsyncContextManager[Broker]]

_MAX_RECORD_BYTES = 100_000
_REBALANCE_S = 1.0
_REBALANCE_ON_KAFKA_S = 2.0
_HEARTBEAT_S = 0.1


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def open_broker(request: pytest.FixtureRequest, tmp_path: Path) -> OpenBroker:
    if request.param == "kafka":
        return _on_kafka(request.getfixturevalue("kafka"))
    return lambda: SqliteBroker.open(
        tmp_path / "log.sqlite3", max_record_bytes=_MAX_RECORD_BYTES, rebalance_timeout_s=_REBALANCE_S
    )


def _on_kafka(cluster: Cluster) -> OpenBroker:
    options = KafkaOptions(
        bootstrap=cluster.bootstrap,
        max_record_bytes=_MAX_RECORD_BYTES,
        heartbeat_s=_HEARTBEAT_S,
        rebalance_timeout_s=_REBALANCE_ON_KAFKA_S,
    )
    prefix = f"{uuid4().hex[:8]}."

    @asynccontextmanager
    async def open_namespaced() -> AsyncIterator[Broker]:
        async with KafkaBroker.open(options) as broker:
            yield Namespaced(broker, prefix)

    return open_namespaced
