"""The cluster of the Kafka tests: brokers keep their records, and can be killed, paused and restarted."""

import ssl
import time
from collections.abc import Iterator
from threading import Timer
from typing import Any

import anyio
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from tests.conftest import require_kafka
from tests.kafka.cluster import Cluster

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(200)]

_PAUSE_S = 1.0  # shorter than the silence after which a client gives a broker up
_DEADLINE_S = 60.0


@pytest.fixture(scope="module", params=[1, 3], ids=["one node", "three nodes"])
def brokers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Brokers of this module alone, which its tests kill."""
    require_kafka()
    with Cluster.start(tmp_path_factory.mktemp("kafka"), request.param, secure=True) as cluster:
        yield cluster


def test_a_killed_broker_keeps_acknowledged_records(brokers: Cluster) -> None:
    _create(brokers, "kept")
    _produce("kept", "acknowledged\u2028", bootstrap_servers=brokers.bootstrap)
    leader = brokers.leader("kept")
    brokers.kill(leader)
    if brokers.nodes > 1:
        _produce("kept", "without it", bootstrap_servers=brokers.bootstrap)
    brokers.restart(leader)
    _produce("kept", "with it again", bootstrap_servers=brokers.bootstrap)
    written = ["acknowledged\u2028", *(["without it"] if brokers.nodes > 1 else []), "with it again"]
    assert brokers.console_consumer("kept", len(written)) == written


def test_a_paused_broker_resumes(brokers: Cluster) -> None:
    _create(brokers, "paused")
    leader = brokers.leader("paused")
    brokers.pause(leader)
    resume = Timer(_PAUSE_S, brokers.resume, [leader])
    began = time.monotonic()
    resume.start()
    try:
        _produce("paused", "waited", bootstrap_servers=brokers.bootstrap)
    finally:
        resume.join()
    assert time.monotonic() - began >= _PAUSE_S
    assert brokers.console_consumer("paused", 1) == ["waited"]


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # aiokafka leaves a refused connection to the collector
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("certificate", [False, True], ids=["anybody", "client certificate"])
def test_the_secure_listener_authenticates_clients(brokers: Cluster, mechanism: str, *, certificate: bool) -> None:
    context = ssl.create_default_context(cafile=brokers.tls / "ca.pem")
    if certificate:
        context.load_cert_chain(brokers.tls / "client.pem", brokers.tls / "client.key")
    topic = f"{mechanism}-{certificate}"
    login: dict[str, Any] = {
        "bootstrap_servers": brokers.secure_bootstrap,
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": mechanism,
        "ssl_context": context,
        "sasl_plain_username": brokers.user,
    }
    _create(brokers, topic)
    _produce(topic, "ours", sasl_plain_password=brokers.password, **login)
    with pytest.raises(KafkaError):
        _produce(topic, "a stranger's", sasl_plain_password="guessed", **login)


def test_a_user_may_do_what_access_control_lists_allow(guarded_kafka: Cluster) -> None:
    login: dict[str, Any] = {
        "bootstrap_servers": guarded_kafka.secure_bootstrap,
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "ssl_context": ssl.create_default_context(cafile=guarded_kafka.tls / "ca.pem"),
        "sasl_plain_username": "nobody",
        "sasl_plain_password": guarded_kafka.password,
    }
    _create(guarded_kafka, "guarded")
    with pytest.raises(TopicAuthorizationFailedError):
        _produce("guarded", "refused", **login)
    guarded_kafka.acls("--add", "--allow-principal", "User:nobody", "--operation", "Write", "--topic", "guarded")
    _produce("guarded", "allowed", **login)
    assert guarded_kafka.console_consumer("guarded", 1) == ["allowed"]


def _create(cluster: Cluster, topic: str) -> None:
    async def create() -> None:
        client = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
        await client.start()
        try:
            await client.create_topics([NewTopic(topic, 1, min(cluster.nodes, 3))])
        finally:
            await client.close()

    anyio.run(create)


def _produce(topic: str, value: str, **options: Any) -> None:
    async def produce() -> None:
        producer = AIOKafkaProducer(acks="all", **options)
        try:
            with anyio.fail_after(_DEADLINE_S):
                await producer.start()
                await producer.send_and_wait(topic, value.encode())
        finally:
            await producer.stop()

    anyio.run(produce)
