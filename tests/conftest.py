"""What every test lives under: one event loop library, no blocking call on it, and one Kafka for those that need it."""

import os
from collections.abc import Iterator

import hypothesis
import pytest
from blockbuster import BlockBuster, blockbuster_ctx

from tests.kafka.cluster import Cluster, unavailable

# A busy machine is no fault of the code: no example fails for its time, nor for how long it took to be drawn.
hypothesis.settings.register_profile(
    "any_machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any_machine")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_blocking_calls() -> Iterator[BlockBuster]:
    with blockbuster_ctx() as blockbuster:
        yield blockbuster


def without_kafka(reason: str) -> None:
    """Skip a test that needs Kafka, or let it fail where Kafka is required."""
    if os.environ.get("SEEDSTREAM_REQUIRE_KAFKA"):  # noqa: TID251 - said by whoever runs the tests, not by a user
        pytest.fail(f"Kafka is required here: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if (reason := unavailable()) is not None:
        without_kafka(reason)
    with Cluster.start(tmp_path_factory.mktemp("kafka"), secure=True) as cluster:
        yield cluster
