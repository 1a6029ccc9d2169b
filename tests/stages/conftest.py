"""What stages are tested in: an embedded broker in a file, to be closed and opened again; a folder without settings."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from service.adapters.sqlite import SqliteBroker
from service.messaging.broker import Broker
from service.settings import Settings

OpenBroker = Callable[[], AbstractAsyncContextManager[Broker]]


@pytest.fixture
def open_broker(tmp_path: Path) -> OpenBroker:
    return lambda: SqliteBroker.open(tmp_path / "run.sqlite3", rebalance_timeout_s=1.0)


@pytest.fixture
def empty_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SEEDSTREAM_{name.upper()}", raising=False)
