"""The log that stages are tested on: the embedded broker in a file, which a test may close and open again."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from service.adapters.sqlite import SqliteBroker
from service.broker import Broker

OpenBroker = Callable[[], AbstractAsyncContextManager[Broker]]


@pytest.fixture
def open_broker(tmp_path: Path) -> OpenBroker:
    return lambda: SqliteBroker.open(tmp_path / "run.sqlite3", rebalance_timeout_s=1.0)
