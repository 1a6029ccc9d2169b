"""The brokers under contract. A test asks for `open_broker` and may open the same log again and again."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from service.adapters.sqlite import SqliteBroker
from service.broker import Broker

OpenBroker = Callable[[], AbstractAsyncContextManager[Broker]]


@pytest.fixture
def open_broker(tmp_path: Path) -> OpenBroker:
    return lambda: SqliteBroker.open(tmp_path / "log.sqlite3", max_record_bytes=100_000, rebalance_timeout_s=1.0)
