"""A worker that loses its group, by a cut in the network or by a pause, buys no call that its heir buys, too."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest

from tests.acceptance.model import Model, eventually, simulated
from tests.conftest import require_kafka
from tests.kafka.cluster import Cluster
from tests.kafka.fleet import Post
from tests.kafka.proxy import Proxy
from tests.kafka.runs import KafkaRun, paid_twice

pytestmark = [pytest.mark.kafka, pytest.mark.kill, pytest.mark.timeout(300)]

_CONCURRENCY = 16
_CUT_S = 20.0
_AFTER_S = 10.0


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Proxy]]:
    require_kafka()
    with (
        Cluster.start(tmp_path_factory.mktemp("proxied")) as cluster,
        Proxy.start(cluster.proxy_port, cluster.proxied_port) as proxy,
    ):
        yield cluster, proxy


@contextmanager
def cut_off(how: str, proxy: Proxy, post: Post) -> Iterator[None]:
    if how == "process":
        post.program.send(SIGSTOP)
        yield
        post.program.send(SIGCONT)
    else:
        proxy.cut(only_groups=how == "heartbeats")
        yield
        proxy.mend()


@pytest.mark.parametrize("how", ["network", "heartbeats", "process"])
def test_an_expelled_worker_repeats_only_calls_in_flight(
    how: str, proxied: tuple[Cluster, Proxy], tmp_path: Path
) -> None:
    """The expelled worker has fetched more records than it may have calls in flight."""
    cluster, proxy = proxied
    with simulated(seed=13, time_to_first_token_s=0.5, time_to_first_token_std_dev_s=0.2) as model:
        work = KafkaRun.create(tmp_path, cluster.bootstrap, model, CONCURRENCY=str(_CONCURRENCY), WINDOW="400")
        with work.fleet() as fleet:
            fleet.add("producer", "admit", "finish")
            fleet.add("generate")
            expelled = fleet.add("generate", flags=("--broker", f"kafka://localhost:{cluster.proxy_port}"))
            work.set_goal(100_000)
            asked_by(model, 200)
            with cut_off(how, proxy, expelled):
                fleet.of("generate")[0].program.live_for(_CUT_S)
            before = len(model.requests())
            asked_by(model, before + 100)
            fleet.of("generate")[0].program.live_for(_AFTER_S)
            assert expelled.program.code is None
            twice = paid_twice(model)
    assert twice <= _CONCURRENCY * 5 // 4


def asked_by(model: Model, calls: int) -> None:
    eventually(lambda: len(model.requests()) >= calls)
