"""Fixtures of all tests: asyncio, no blocking call on its loop, an embedded broker, and one Kafka for a session."""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import hypothesis
import pytest
from blockbuster import BlockBuster, blockbuster_ctx

# Imported on the event loop otherwise, where they would read their files.
import service.selfinstruct.similarity
import service.simulator  # noqa: F401
from service.adapters.sqlite import SqliteBroker
from service.messaging.broker import Broker
from service.settings import Settings
from tests.kafka.cluster import Cluster, unavailable
from tests.support import earlier as earlier_version

# A slow machine must not fail a test: examples have no deadline, and no health check of the time to draw them.
hypothesis.settings.register_profile(
    "any_machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any_machine")

GUARDED_USERS = (
    "producer",
    "generate",
    "classify",
    "instances",
    "screen",
    "admit",
    "finish",
    "operator",
    "web",
    "reader",
    "creator",
    "single",
    "nobody",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one worker of pytest-xdist run all tests on the shared Kafka, so that it is started once."""
    for item in items:
        if item.get_closest_marker("kafka") is not None:
            shares = {"kafka", "guarded_kafka", "open_broker"}.intersection(getattr(item, "fixturenames", ()))
            item.add_marker(pytest.mark.xdist_group("kafka" if shares else item.path.stem))


OpenBroker = Callable[[], AbstractAsyncContextManager[Broker]]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_blocking_calls() -> Iterator[BlockBuster]:
    with blockbuster_ctx() as blockbuster:
        yield blockbuster


def pytest_collection_finish() -> None:
    """Let the collections after each test pass over all modules and tests: they take a millisecond, not a tenth."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _leaks_are_reported_at_their_test(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Collect garbage after each test: a connection that it left open would fail any later test.

    Captured log records hold errors, and these hold all that was in use when they were raised.
    """
    yield
    caplog.get_records("call").clear()
    gc.collect()


@pytest.fixture
def open_broker(tmp_path: Path) -> OpenBroker:
    """Return a function that opens the embedded broker on one file. A test may close it and open it again."""
    return lambda: SqliteBroker.open(tmp_path / "run.sqlite3", rebalance_timeout_s=1.0)


@pytest.fixture
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, without settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SEEDSTREAM_{name.upper()}", raising=False)


def without(needed: str, reason: str) -> None:
    """Skip a test that needs something which is not here, or fail it where all tests on Kafka are required."""
    if os.environ.get("SEEDSTREAM_REQUIRE_KAFKA"):  # noqa: TID251 - said by whoever runs the tests, not by a user
        pytest.fail(f"{needed} is required here: {reason}")
    pytest.skip(reason)


def require_kafka() -> None:
    """Skip or fail a test that needs Kafka where it cannot be started."""
    if (reason := unavailable()) is not None:
        without("Kafka", reason)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    require_kafka()
    with Cluster.start(tmp_path_factory.mktemp("kafka"), secure=True) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an earlier version of the program."""
    if (reason := earlier_version.unavailable()) is not None:
        without("The history", reason)
    return earlier_version.check_out(tmp_path_factory.mktemp("earlier"))


@pytest.fixture(scope="session")
def guarded_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Kafka whose access control lists allow its users nothing, until a test allows them something."""
    require_kafka()
    with Cluster.start(tmp_path_factory.mktemp("guarded-kafka"), users=GUARDED_USERS) as cluster:
        yield cluster
