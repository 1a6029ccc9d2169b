"""Brokers of one test module alone, which its tests may pause, kill or spoil."""

from collections.abc import Iterator

import pytest

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
