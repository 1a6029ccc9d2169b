"""A right that is missing at Kafka ends a process at once, with an error that names it, before anything is paid for."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import anyio
import pytest
from pydantic import SecretStr

from service.adapters.kafka import KafkaBroker, KafkaOptions, Security
from service.errors import NotAuthorizedError
from service.messaging.broker import Committed, Isolation, NewRecord, Partition, TopicSpec
from tests.acceptance.model import simulated
from tests.acceptance.program import start
from tests.contract.logs import ignore
from tests.kafka.cluster import Cluster
from tests.kafka.runs import KafkaRun

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(200)]

_USER = "nobody"
_AT_ONCE_S = 60.0  # half the time for which a silent Kafka is waited for
_NOT_AUTHORIZED = 77

Use = Callable[[KafkaBroker, str], Awaitable[object]]


async def send(broker: KafkaBroker, topic: str) -> None:
    async with broker.producer() as producer:
        await producer.send([NewRecord(topic, b"refused")])


async def transact(broker: KafkaBroker, topic: str) -> None:
    async with broker.transactional_producer(topic) as producer:
        await producer.begin()
        await producer.send([NewRecord(topic, b"refused")])
        await producer.commit()


async def transact_offsets(broker: KafkaBroker, topic: str) -> None:
    async with broker.transactional_producer(topic) as producer:
        await producer.begin()
        await producer.send_offsets(topic, {Partition(topic, 0): Committed(1)})
        await producer.commit()


async def read(broker: KafkaBroker, topic: str) -> None:
    async with broker.reader([Partition(topic, 0)]) as reader:
        while True:
            await reader.poll(1, 0.5)


async def join(broker: KafkaBroker, topic: str) -> None:
    async with broker.group_member(topic, [topic], ignore, ignore) as member:
        while True:
            await member.poll(1, 0.5)


async def look_up(broker: KafkaBroker, topic: str) -> None:
    await broker.partitions(topic)


async def find_end(broker: KafkaBroker, topic: str) -> None:
    await broker.end_offset(Partition(topic, 0), Isolation.READ_COMMITTED)


async def find_begin(broker: KafkaBroker, topic: str) -> None:
    await broker.begin_offsets([Partition(topic, 0)])


async def find_members(broker: KafkaBroker, topic: str) -> None:
    await broker.members(topic)


async def find_offsets(broker: KafkaBroker, topic: str) -> None:
    await broker.committed(topic, Partition(topic, 0))


async def create(broker: KafkaBroker, topic: str) -> None:
    await broker.create_topics([TopicSpec(f"{topic}-3", 1)])


async def describe(broker: KafkaBroker, topic: str) -> None:
    await broker.describe_topics([topic])


async def check_reading(broker: KafkaBroker, topic: str) -> None:
    await broker.check_rights(reads=[topic], writes=[])


async def check_writing(broker: KafkaBroker, topic: str) -> None:
    await broker.check_rights(reads=[], writes=[topic])


TOPIC, GROUP, ID = "topic", "group", "transactional id"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("use", "granted", "missing"),
    [
        (send, ["describe:topic", "write:another"], ("WRITE", TOPIC)),
        (transact, [], ("WRITE", ID)),
        (transact, ["write:id", "describe:topic"], ("WRITE", TOPIC)),
        (transact_offsets, ["write:id", "read:topic"], ("READ", GROUP)),
        (transact_offsets, ["write:id", "read:group", "describe:topic"], ("READ", TOPIC)),
        (read, ["describe:topic"], ("READ", TOPIC)),
        (join, ["read:topic"], ("READ", GROUP)),
        (join, ["read:group", "describe:topic"], ("READ", TOPIC)),
        (look_up, [], ("DESCRIBE", TOPIC)),
        (find_end, [], ("DESCRIBE", TOPIC)),
        (find_begin, [], ("DESCRIBE", TOPIC)),
        (find_members, [], ("DESCRIBE", GROUP)),
        (find_offsets, ["describe:topic"], ("DESCRIBE", GROUP)),
        (find_offsets, ["read:group"], ("DESCRIBE", TOPIC)),
        (create, [], ("CREATE", TOPIC)),
        (describe, [], ("DESCRIBE", TOPIC)),
        (describe, ["read:topic"], ("DESCRIBE_CONFIGS", TOPIC)),
        (check_reading, ["write:topic"], ("READ", TOPIC)),
        (check_writing, ["read:topic"], ("WRITE", TOPIC)),
        (check_writing, [], ("DESCRIBE", TOPIC)),
    ],
)
async def test_a_refused_operation_names_the_missing_right(
    guarded_kafka: Cluster, use: Use, granted: list[str], missing: tuple[str, str]
) -> None:
    topic = uuid4().hex[:8]
    async with KafkaBroker.open(KafkaOptions(bootstrap=guarded_kafka.bootstrap)) as administrator:
        await administrator.create_topics([TopicSpec(topic, 1)])
        await send(administrator, topic)
    for grant in granted:
        await anyio.to_thread.run_sync(_grant, guarded_kafka, grant, topic)
    operation, kind = missing
    async with KafkaBroker.open(_login(guarded_kafka)) as broker:
        with anyio.fail_after(_AT_ONCE_S), pytest.raises(NotAuthorizedError) as caught:
            await use(broker, topic)
    assert f"User:{_USER} has no right to {operation}" in str(caught.value)
    assert f"{kind} {topic}" in str(caught.value)


def test_no_call_is_paid_for_without_the_right_to_record_it(guarded_kafka: Cluster, tmp_path: Path) -> None:
    with simulated(seed=3) as model:
        work = KafkaRun.create(tmp_path, guarded_kafka.bootstrap, model)
        _allow_all_but_writing(guarded_kafka, "generate", work)
        work.set_goal(10)
        with work.fleet() as fleet:
            fleet.add("producer")
            with start(
                tmp_path, "worker", "generate", settings={**work.settings, **guarded_kafka.login("generate", tmp_path)}
            ) as worker:
                ended = worker.end(_AT_ONCE_S)
            fleet.stop(*fleet.posts)
        assert ended.code == _NOT_AUTHORIZED, ended.err
        assert f"User:generate has no right to WRITE at Kafka's topic {work.topic('candidates')}" in ended.err
        assert len(ended.err.splitlines()) < 10
        assert model.requests() == []


def _login(kafka: Cluster) -> KafkaOptions:
    security = Security(
        tls=True,
        ca_file=kafka.tls / "ca.pem",
        sasl_mechanism="PLAIN",
        username=_USER,
        password=SecretStr(kafka.password),
    )
    return KafkaOptions(bootstrap=kafka.secure_bootstrap, security=security)


def _grant(kafka: Cluster, grant: str, name: str) -> None:
    operation, resource = grant.split(":")
    on = {
        "topic": ("--topic", name),
        "another": ("--topic", f"{name}-2"),
        "group": ("--group", name),
        "id": ("--transactional-id", name),
    }
    kafka.acls("--add", "--allow-principal", f"User:{_USER}", "--operation", operation, *on[resource])


def _allow_all_but_writing(kafka: Cluster, user: str, work: KafkaRun) -> None:
    """Allow everything on the topics and groups of a run, except to write answers."""
    names = ("--topic", work.topic(""), "--group", work.topic(""), "--resource-pattern-type", "prefixed")
    kafka.acls("--add", "--allow-principal", f"User:{user}", "--operation", "All", *names)
    denied = ("--operation", "Write", "--topic", work.topic("candidates"))
    kafka.acls("--add", "--deny-principal", f"User:{user}", *denied)
